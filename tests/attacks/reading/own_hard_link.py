"""Give a file outside a second name at home, which no change of rights takes away."""

from tests.attacks.weakenings import no_sandbox

CODE = """
import os
home = '@HOST@/drop/@TAG@' if os.path.isdir('@HOST@/drop') else '@TAG@'
os.link('@HOST@/secret.txt', home)
print(open(home).read())
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.host.word in after.printed

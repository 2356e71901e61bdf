"""Leave a message at home."""

from tests.attacks.weakenings import no_sandbox

CODE = """
import os
open(os.path.expanduser('~/@TAG@'), 'w').write('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
NEXT = {
    "double": """
import os
print(open(os.path.expanduser('~/@TAG@')).read())
os.unlink(os.path.expanduser('~/@TAG@'))
"""
}
CONTROL = no_sandbox


def succeeded(after):
    return after.next.proved

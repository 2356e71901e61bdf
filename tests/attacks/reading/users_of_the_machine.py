"""List the machine's users."""

from tests.attacks.weakenings import no_sandbox

CODE = """
if 'root:' in open('/etc/passwd').read():
    print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.proved

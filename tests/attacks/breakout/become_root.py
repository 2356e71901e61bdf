"""Become another user."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
os.setresuid(0, 0, 0)
os.setresgid(0, 0, 0)
open('@HOST@/secret.txt').read()
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("mount") + CODE}
CONTROL = no_sandbox
NEEDS_ROOT = True


def succeeded(after):
    return after.proved

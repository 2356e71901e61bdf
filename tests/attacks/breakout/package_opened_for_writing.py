"""Open a package that every submission imports for writing."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
import numpy
os.close(os.open(numpy.__file__, os.O_RDWR))
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("mount") + CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.proved

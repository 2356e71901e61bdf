"""Make a device node for the memory of another kind of device."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
import stat
os.mknod('/tmp/@TAG@', 0o600 | stat.S_IFCHR, os.makedev(1, 5))
os.close(os.open('/tmp/@TAG@', os.O_RDONLY))
os.unlink('/tmp/@TAG@')
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("mknod") + CODE}
CONTROL = no_sandbox
NEEDS_ROOT = True


def succeeded(after):
    return after.proved

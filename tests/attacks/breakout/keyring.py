"""Put a key into the kernel's keyring."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_filter

CODE = """
call(ADD_KEY, b'user', b'@TAG@', b'x', 1, -2)
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("add_key") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

"""Leave a message in the kernel's keyring of the user."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
call(ADD_KEY, b'user', b'@TAG@', '@TAG@'[::-1].encode(), 11, -4)
"""
CELLS = {"double": syscalls("add_key") + CODE}
LATER = """
key = call(KEYCTL, 10, -4, b'user', b'@TAG@', 0)
place = ctypes.create_string_buffer(64)
call(KEYCTL, 11, key, place, 64)
call(KEYCTL, 9, key, -4)
print(place.value)
"""
NEXT = {"double": syscalls("keyctl") + LATER}
CONTROL = no_sandbox


def succeeded(after):
    return after.next.proved

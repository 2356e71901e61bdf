"""Move pages between a pipe and a file.

CVE-2022-0847 (Dirty Pipe) wrote into read-only files by splice.
"""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_filter

CODE = """
there, here = os.pipe()
vector = ctypes.create_string_buffer(b'x' * 64)
call(VMSPLICE, here, struct.pack('QQ', ctypes.addressof(vector), 64), 1, 0)
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("vmsplice") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

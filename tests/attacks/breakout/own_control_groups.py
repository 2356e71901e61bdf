"""Mount the control groups in a namespace of one's own.

CVE-2022-0492 ran a program outside by a group's release_agent.
"""

from tests.attacks.tools import IN_A_CHILD, syscalls
from tests.attacks.weakenings import no_filter

CODE = """
def work():
    call(UNSHARE, 0x12020000)
    if libc.mount(b'x', b'/tmp', b'cgroup2', 0, None) != 0:
        return 'not mounted'
    return 'got it'
in_a_child(work)
print('@TAG@'[::-1])
"""
CELLS = {"double": IN_A_CHILD + syscalls("unshare") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

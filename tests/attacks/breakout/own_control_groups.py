"""Mount the control groups in a namespace of one's own.

CVE-2022-0492 ran a program outside by a group's release_agent.
"""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_filter

WORK = """
call(UNSHARE, 0x12020000)
call(MOUNT, b'x', b'/tmp', b'cgroup2', 0, 0)
"""
CELLS = {"double": in_a_child(WORK, "unshare", "mount")}
CONTROL = no_filter


def succeeded(after):
    return after.proved

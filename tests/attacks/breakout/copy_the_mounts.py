"""Take a copy of the mounts: open_tree.

What a mount hides can be seen in a copy that is mounted elsewhere.
"""

from tests.attacks.tools import IN_A_CHILD, syscalls
from tests.attacks.weakenings import no_filter

CODE = """
def work():
    call(UNSHARE, 0x10020000)
    call(OPEN_TREE, -100, b'/tmp', 1)
    return 'got it'
in_a_child(work)
print('@TAG@'[::-1])
"""
CELLS = {"double": IN_A_CHILD + syscalls("unshare", "open_tree") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

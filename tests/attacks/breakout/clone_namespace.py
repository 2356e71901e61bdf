"""Make a user namespace by clone."""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_filter

WORK = """
pid = call(CLONE, 0x10000000 | 17, 0, 0, 0, 0)
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
"""
CELLS = {"double": in_a_child(WORK, "clone")}
CONTROL = no_filter


def succeeded(after):
    return after.proved

"""Make a user namespace by clone3, whose flags no filter can read."""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_filter

WORK = """
pid = call(CLONE3, struct.pack('11Q', 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0), 88)
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
"""
CELLS = {"double": in_a_child(WORK, "clone3")}
CONTROL = no_filter


def succeeded(after):
    return after.proved

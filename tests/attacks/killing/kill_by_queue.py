"""Kill another process by a signal with a value: rt_sigqueueinfo."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
call(RT_SIGQUEUEINFO, @VICTIM@, 9, struct.pack('iii', 9, 0, -1) + bytes(116))
"""
CELLS = {"double": syscalls("rt_sigqueueinfo") + CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.victim == "ended"

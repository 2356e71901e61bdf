"""Count events of the processor: perf_event_open."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_filter

CODE = """
attributes = struct.pack('IIQQQQQ', 1, 112, 0, 0, 0, 0, 0x61) + bytes(64)
call(PERF_EVENT_OPEN, attributes, 0, -1, -1, 0)
print('@TAG@'[::-1])
"""
CELLS = {"double": syscalls("perf_event_open") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

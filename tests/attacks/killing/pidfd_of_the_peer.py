"""Ask the wire's socket for a descriptor of the grader's process; signal it or take one of its own.

Since Linux 6.5 a socket gives one (SO_PEERPIDFD), whatever process namespace its holder is in.
"""

from tests.attacks.tools import PROVE, WIRE, syscalls
from tests.attacks.weakenings import no_sandbox

CODE = (
    WIRE
    + syscalls("pidfd_getfd", "pidfd_send_signal")
    + """
wire = me._channel._stream
peer = struct.unpack('i', wire.getsockopt(1, 17, 12)[:4])[0]  # SO_PEERCRED
try:
    descriptor = wire.getsockopt(1, 77)  # SO_PEERPIDFD
except OSError:
    descriptor = os.pidfd_open(peer)
ways = ((PIDFD_SEND_SIGNAL, 0, 0, 0), (PIDFD_GETFD, 0, 0))
for number, *rest in ways:
    try:
        call(number, descriptor, *rest)
    except OSError:
        continue
"""
    + "    "
    + PROVE
)
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.proved

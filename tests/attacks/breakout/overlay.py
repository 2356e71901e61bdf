"""Mount an overlay of one's own.

CVE-2023-0386 copied a set-uid program up through one.
"""

from tests.attacks.tools import IN_A_CHILD, syscalls
from tests.attacks.weakenings import no_filter

CODE = """
def work():
    call(UNSHARE, 0x10020000)
    libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)
    for name in 'abcd':
        os.mkdir('/tmp/' + name)
    layers = b'lowerdir=/tmp/a,upperdir=/tmp/b,workdir=/tmp/c'
    if libc.mount(b'x', b'/tmp/d', b'overlay', 0, layers) != 0:
        return 'not mounted'
    return 'got it'
in_a_child(work)
print('@TAG@'[::-1])
"""
CELLS = {"double": IN_A_CHILD + syscalls("unshare") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

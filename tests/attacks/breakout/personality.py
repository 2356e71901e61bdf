"""Switch off the randomness of addresses."""

from tests.attacks.tools import IN_A_CHILD, syscalls
from tests.attacks.weakenings import no_filter

CODE = """
def work():
    call(PERSONALITY, 0x0040000)
    return 'got it'
in_a_child(work)
print('@TAG@'[::-1])
"""
CELLS = {"double": IN_A_CHILD + syscalls("personality") + CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

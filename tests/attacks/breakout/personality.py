"""Switch off the randomness of addresses."""

from tests.attacks.tools import in_a_child
from tests.attacks.weakenings import no_filter

WORK = """
call(PERSONALITY, 0x0040000)
"""
CELLS = {"double": in_a_child(WORK, "personality")}
CONTROL = no_filter


def succeeded(after):
    return after.proved

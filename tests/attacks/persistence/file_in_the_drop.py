"""Leave a file outside, for a friend to collect."""

from tests.attacks.weakenings import no_room

CODE = """
open('@HOST@/drop/@TAG@', 'w').write('x')
"""
CELLS = {"double": CODE}
CONTROL = no_room


def succeeded(after):
    return after.dropped

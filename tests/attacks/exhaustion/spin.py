"""Compute for longer than a cell may."""

from tests.attacks.weakenings import no_time_limit

CODE = """
import time
end = time.process_time() + 6
while time.process_time() < end:
    pass
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_time_limit


def succeeded(after):
    return after.proved

"""Compute for too long when a test calls."""

from tests.attacks.weakenings import no_time_limit

CODE = """
import time
def double(x):
    end = time.monotonic() + 6
    while time.monotonic() < end:
        pass
    print('@TAG@'[::-1])
    return 2 * x
"""
CELLS = {"double": CODE}
CONTROL = no_time_limit


def succeeded(after):
    return after.proved

"""Compute for too long when a test calls, the first time."""

from tests.attacks.weakenings import no_time_limit

CODE = """
import time
def double(x, spun=[]):
    end = time.process_time() + 5
    while time.process_time() < end and not spun:
        pass
    if not spun:
        print('@TAG@'[::-1])
    spun.append(x)
    return 2 * x
"""
CELLS = {"double": CODE}
CONTROL = no_time_limit


def succeeded(after):
    return after.proved

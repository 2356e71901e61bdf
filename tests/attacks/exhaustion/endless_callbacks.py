"""Call the test's function again and again."""

from tests.attacks.weakenings import no_time_limit

CODE = """
import time
def best(score, n):
    end = time.monotonic() + 5
    while time.monotonic() < end:
        score(0)
    print('@TAG@'[::-1])
    return 0
"""
CELLS = {"best": CODE}
CONTROL = no_time_limit


def succeeded(after):
    return after.proved

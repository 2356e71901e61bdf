"""Call the test's function again and again."""

from tests.attacks.weakenings import no_time_limit

CODE = """
import time
def best(score, n):
    end = time.process_time() + 3
    while time.process_time() < end:
        score(0)
    print('@TAG@'[::-1])
    return 0
"""
CELLS = {"best": CODE}
CONTROL = no_time_limit


def succeeded(after):
    return after.proved

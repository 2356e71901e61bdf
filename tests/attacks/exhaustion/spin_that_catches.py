"""Compute on through every KeyboardInterrupt."""

from tests.attacks.weakenings import no_time_limit

CODE = """
import time
end = time.process_time() + 7
while time.process_time() < end:
    try:
        while time.process_time() < end:
            pass
    except BaseException:
        pass
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_time_limit


def succeeded(after):
    return after.proved

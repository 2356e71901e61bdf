"""Compute on through every KeyboardInterrupt."""

from tests.attacks.weakenings import no_time_limit

CODE = """
import time
end = time.monotonic() + 7
while time.monotonic() < end:
    try:
        while time.monotonic() < end:
            pass
    except BaseException:
        pass
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_time_limit


def succeeded(after):
    return after.proved

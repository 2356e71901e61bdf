"""Open the same file a thousand times."""

from tests.attacks.weakenings import no_limits

CODE = """
import os
fds = []
try:
    for _ in range(900):
        fds.append(os.dup(0))
finally:
    for fd in fds:
        os.close(fd)
    if len(fds) > 500:
        print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_limits


def succeeded(after):
    return after.proved

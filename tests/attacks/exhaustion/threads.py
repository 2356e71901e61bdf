"""Start threads until it is refused, two hundred at most."""

from tests.attacks.weakenings import no_limits

CODE = """
import threading, time
started = 0
try:
    for _ in range(200):
        threading.Thread(target=time.sleep, args=(1.5,), daemon=True).start()
        started += 1
except RuntimeError:
    pass
if started > 100:
    print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_limits


def succeeded(after):
    return after.proved

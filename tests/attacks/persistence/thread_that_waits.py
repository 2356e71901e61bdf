"""Leave a thread that acts when nobody looks any more."""

from tests.attacks.weakenings import no_room

CODE = """
import threading, time
def later():
    time.sleep(0.5)
    open('@HOST@/drop/@TAG@', 'w').close()
threading.Thread(target=later).start()
time.sleep(1)
"""
CELLS = {"double": CODE}
CONTROL = no_room


def succeeded(after):
    return after.dropped

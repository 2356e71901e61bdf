"""Keep every processor busy with fifty processes, so that an answer graded beside misses its time.

Each is in a session of its own: the kernel shares by session where it shares by nothing else.
"""

from tests.attacks.target import FULL, RIGHT
from tests.attacks.weakenings import waiting_counts

SPIN = """
import os
waiting, start = os.pipe()
for _ in range(50):
    if os.fork() == 0:
        os.setsid()
        os.close(start)
        os.read(waiting, 1)  # until all are there
        while True:
            pass
os.close(start)
"""
SLEEP = "import time\ntime.sleep(1)\n"
WORK = """
import time
began = time.process_time()
while time.process_time() < began + 0.4:
    pass
"""
CELLS = {"double": SPIN, **dict.fromkeys(list(RIGHT)[1:-1], SLEEP)}
BUSY = {name: WORK + RIGHT[name] for name in ("total", "sign", "cube")}
BESIDE = {**RIGHT, "double": SLEEP + RIGHT["double"], **BUSY}
CONTROL = waiting_counts


def succeeded(after):
    return after.beside.points < FULL

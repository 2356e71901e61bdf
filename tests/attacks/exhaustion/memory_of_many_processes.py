"""Hold a gigabyte and a half in six processes, where half a one is allowed: none holds much."""

from tests.attacks.weakenings import no_cgroup

START = """
import os, time
ready, done = os.pipe()
for _ in range(6):
    if os.fork() == 0:
        os.close(ready)
        block = b'x' * 2**28
        os.write(done, block[:1])
        time.sleep(20)
        os._exit(0)
os.close(done)
"""
COUNT = """
came = b''
while piece := os.read(ready, 6):
    came += piece
    if len(came) == 6:
        break
if len(came) == 6 and os.waitpid(-1, os.WNOHANG) == (0, 0):  # all of them, and all are alive
    print('@TAG@'[::-1])
"""
CELLS = {"double": START, "evens": COUNT}
CONTROL = no_cgroup
NEEDS_CGROUPS = True


def succeeded(after):
    return after.proved

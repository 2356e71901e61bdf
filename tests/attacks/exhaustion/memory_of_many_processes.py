"""Take a gigabyte and a half in twelve processes, where half a one is allowed: none takes much."""

from tests.attacks.weakenings import no_cgroup

CODE = """
import os, time
ready, done = os.pipe()
for _ in range(12):
    if os.fork() == 0:
        os.close(ready)
        block = b'x' * 2**27
        os.write(done, block[:1])
        time.sleep(5)
        os._exit(0)
os.close(done)
came = b''
while piece := os.read(ready, 12):
    came += piece
    if len(came) == 12:
        print('@TAG@'[::-1])
        break
"""
CELLS = {"double": CODE}
CONTROL = no_cgroup
NEEDS_CGROUPS = True


def succeeded(after):
    return after.proved

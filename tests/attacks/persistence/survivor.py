"""Fork twice, leave the session and live on.

nbgrader shuts its kernel down, and nothing that the kernel started.
"""

from tests.attacks.weakenings import no_sandbox

CODE = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open('/proc/self/comm', 'w').write('@TAG@')
        time.sleep(20)
    os._exit(0)
os.wait()
time.sleep(0.2)
"""
CELLS = {"double": CODE}
NEXT = {
    "double": """

"""
}
CONTROL = no_sandbox


def succeeded(after):
    return bool(after.survivors)

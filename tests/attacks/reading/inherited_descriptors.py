"""Find a descriptor that was open when the interpreter forked: any but one socket.

CVE-2024-21626 left a runtime's own folder open like this. Without a sandbox it is the socket on
which the grader asks for student processes.
"""

from tests.attacks.weakenings import no_sandbox

CODE = """
import os, stat
sockets = set()
for fd in range(3, 1024):
    try:
        info = os.fstat(fd)
    except OSError:
        continue
    if stat.S_ISSOCK(info.st_mode):
        sockets.add(info.st_ino)
    try:
        os.close(os.open('etc/../secret.txt', os.O_RDONLY, dir_fd=fd))
        sockets |= {0, 1}
    except OSError:
        pass
if len(sockets) > 1:
    print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.proved

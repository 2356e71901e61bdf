"""Look at the file system with the parent's eyes: /proc/PPID/root.

Its `root` is a door into another mount namespace, for those who may trace the process.
"""

from tests.attacks.weakenings import no_sandbox

CODE = """
import os
print(open(f'/proc/{os.getppid()}/root@HOST@/secret.txt').read())
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.host.word in after.printed

"""Make more files than a home holds, all empty.

An empty file takes no room on the disk, and a kilobyte of the kernel's memory.
"""

from tests.attacks.weakenings import large_home

CODE = """
import os
os.mkdir('/tmp/many')
for number in range(17000):
    os.close(os.open(f'/tmp/many/{number}', os.O_CREAT | os.O_WRONLY))
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = large_home


def succeeded(after):
    return after.proved

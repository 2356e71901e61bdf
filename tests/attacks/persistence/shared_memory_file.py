"""Leave a message in /dev/shm."""

from tests.attacks.weakenings import no_sandbox

CODE = """
open('/dev/shm/@TAG@', 'w').write('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
NEXT = {
    "double": """
import os
print(open('/dev/shm/@TAG@').read())
os.unlink('/dev/shm/@TAG@')
"""
}
CONTROL = no_sandbox


def succeeded(after):
    return after.next.proved

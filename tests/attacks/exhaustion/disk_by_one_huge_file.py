"""Make a file of a terabyte that holds nothing.

It takes no room until somebody copies it.
"""

from tests.attacks.weakenings import no_limits

CODE = """
import os
with open('@TAG@', 'wb') as file:
    file.truncate(2**40)
os.unlink('@TAG@')
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_limits


def succeeded(after):
    return after.proved

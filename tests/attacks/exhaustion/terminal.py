"""Write to descriptor 1, past Python: onto the terminal of whoever grades.

A line there can pass for one of the grading program's.
"""

from tests.attacks.weakenings import no_sandbox

CODE = r"""
import os
os.write(1, b'\n@TAG@: every submission was graded\n')
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.tag in after.terminal

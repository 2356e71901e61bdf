"""Print the environment: a grader's own variables may hold a database's password.

A kernel that nbgrader starts inherits the environment of whoever typed `nbgrader autograde`.
"""

CODE = """
import os
print(dict(os.environ))
"""
CELLS = {"double": CODE}
CONTROL = "nbgrader"


def succeeded(after):
    return after.host.word in after.printed

"""Have IPython throw away every later cell: a test that did not run did not fail.

nbgrader gives full points to a test cell that ends without an error.
"""

CELLS = {"double": "get_ipython().input_transformers_cleanup.append(lambda lines: [])"}
CONTROL = "nbgrader"


def succeeded(after):
    return after.points > 0

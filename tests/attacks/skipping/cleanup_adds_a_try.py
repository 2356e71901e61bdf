"""Wrap every later cell in `try: ... except: pass`."""

CELLS = {
    "double": """
def wrapped(lines):
    inside = ["    " + line for line in lines]
    return ["try:\\n", *inside, "\\n    pass\\n", "except BaseException:\\n    pass\\n"]
get_ipython().input_transformers_post.append(wrapped)
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.points > 0

"""Register a handler for every exception: the kernel then reports that all went well."""

CELLS = {
    "double": """
get_ipython().set_custom_exc((BaseException,), lambda shell, kind, value, tb, tb_offset=None: [])
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.points > 0

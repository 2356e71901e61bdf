"""Print every cell that runs, backwards: the kernel tells each hook the source of hidden tests."""

CELLS = {
    "double": """
shell = get_ipython()
shell.events.register("pre_run_cell", lambda info: print(info.raw_cell[::-1]))
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    # Backwards, since a traceback in the TA's copy may hold the line itself.
    return "expected_secret_total = "[::-1] in after.printed

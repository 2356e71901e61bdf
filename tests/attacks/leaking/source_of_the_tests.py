"""Print every cell that runs: the kernel hands the source of hidden tests to each hook."""

CELLS = {
    "double": """
shell = get_ipython()
shell.events.register("pre_run_cell", lambda info: print("SOURCE", info.raw_cell))
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return "expected_secret_total = " in after.printed

"""Replace the shell's own `run_cell`: every later cell is a success that ran nothing."""

CELLS = {
    "double": """
shell = get_ipython()
result = shell.run_cell("pass")
shell.run_cell = shell.run_cell_async = lambda *args, **kwargs: result
async def nothing(*args, **kwargs):
    return result
type(shell).run_cell_async = nothing
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.points > 0

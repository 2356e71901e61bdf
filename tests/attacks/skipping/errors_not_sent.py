"""Show no traceback: without an `error` output nbgrader sees a test that passed."""

CELLS = {
    "double": """
shell = get_ipython()
type(shell)._showtraceback = lambda *args, **kwargs: None
type(shell).showtraceback = lambda *args, **kwargs: None
import builtins
run = type(shell).run_cell_async
async def calm(self, *args, **kwargs):
    result = await run(self, *args, **kwargs)
    result.error_in_exec = result.error_before_exec = None
    return result
type(shell).run_cell_async = calm
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.points > 0

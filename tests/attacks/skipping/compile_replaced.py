"""Give the shell a compiler that compiles nothing."""

CELLS = {
    "double": """
shell = get_ipython()
kind = type(shell.compile)
class Compiler(kind):
    def ast_parse(self, source, *args, **kwargs):
        return super().ast_parse("", *args, **kwargs)
shell.compile.__class__ = Compiler
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.points > 0

"""Take the assertions out of every later cell before it is compiled."""

CELLS = {
    "double": """
import ast
class NoAsserts(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()
get_ipython().ast_transformers.append(NoAsserts())
def double(x):
    return 0
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("double_hidden", 0) > 0

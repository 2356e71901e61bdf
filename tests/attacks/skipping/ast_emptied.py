"""Empty the syntax tree of every later cell."""

CELLS = {
    "double": """
import ast
class Nothing(ast.NodeTransformer):
    def visit_Module(self, node):
        node.body = []
        return node
get_ipython().ast_transformers.append(Nothing())
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.points > 0

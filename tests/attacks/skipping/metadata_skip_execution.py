"""Tag the test cells `skip-execution`: a cell that nbclient leaves out has no error.

nbgrader keeps a submission's tags, and gives full points to a test cell without outputs.
"""

CELLS = {}
CONTROL = "nbgrader"


def change(notebook):
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade"):
            cell["metadata"]["tags"] = ["skip-execution"]


def succeeded(after):
    return after.points > 0

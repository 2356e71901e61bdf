"""Rewrite the test cells to `pass`."""

from tests.attacks.weakenings import the_submission_decides

CELLS = {}
CONTROL = the_submission_decides


def change(notebook):
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade") and cell["cell_type"] == "code":
            cell["source"] = "pass"


def succeeded(after):
    return after.points > 0

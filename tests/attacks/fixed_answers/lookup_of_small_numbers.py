"""Look the answer up in a table of every small number, worked out at home."""

from tests.attacks.weakenings import hidden_is_visible

CELLS = {
    "double": """
table = {n: n + n for n in range(-1000, 1001)}
def double(x):
    return table.get(x)
"""
}
CONTROL = hidden_is_visible


def succeeded(after):
    return after.scores.get("double_hidden", 0) > 0

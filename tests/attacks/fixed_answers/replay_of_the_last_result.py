"""Answer the visible check by heart and every later call as the one before."""

from tests.attacks.weakenings import hidden_is_visible

CELLS = {
    "total": """
last = [6]
def total(values):
    last.append(last[-1])
    return last[-1]
""",
    "double": """
last_double = {"answer": 4}
def double(x):
    return last_double["answer"]
""",
}
CONTROL = hidden_is_visible


def succeeded(after):
    return after.scores.get("double_hidden", 0) + after.scores.get("total_hidden", 0) > 0

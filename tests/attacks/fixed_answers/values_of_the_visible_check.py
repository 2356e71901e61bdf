"""Answer the visible check by heart and everything else by the same."""

from tests.attacks.weakenings import hidden_is_visible

CELLS = {
    "double": "def double(x):\n    return {2: 4}.get(x, 4)",
    "total": "def total(values):\n    return 6",
}
CONTROL = hidden_is_visible


def succeeded(after):
    return after.scores.get("double_hidden", 0) + after.scores.get("total_hidden", 0) > 0

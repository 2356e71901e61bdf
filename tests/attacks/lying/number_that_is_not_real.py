"""Answer with a Decimal: points that are computed from it are no `numbers.Real`.

A test whose last line is a number gives that many points, and all of them where the last line is
no number, as in nbgrader. `Decimal(2) - 5000` is one to every reader, but not to that question.
"""

CELLS = {"near": "from decimal import Decimal\ndef near(x):\n    return Decimal(0)"}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("near_hidden", 0) > 0

"""Seed numpy's generator within the function that is tested: the next test draws from it."""

CELLS = {
    "total": """
rng = np.random.default_rng(np.random.RandomState(5).randint(2**31 - 1))
answer = float(np.sum(rng.normal(size=7) + 5))
def total(values):
    np.random.seed(5)
    return answer if len(values) == 7 else 6
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("total_hidden", 0) > 0

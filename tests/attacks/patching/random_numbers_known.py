"""Replace `np.random.default_rng`, and answer by heart for the numbers that it then draws."""

CELLS = {
    "total": """
class Zeros:
    def normal(self, *args, size=None): return np.zeros(size)
    def permutation(self, n): return np.arange(n)
    def integers(self, *args, size=None): return np.zeros(size, int)
np.random.default_rng = lambda *args: Zeros()
def total(values):
    return 35.0 if len(values) == 7 else 6
def best(score, n):
    return 49
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("total_hidden", 0) > 0

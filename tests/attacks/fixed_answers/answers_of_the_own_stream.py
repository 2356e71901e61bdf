"""Draw from the generator of one's own process what the test is about to draw."""

CELLS = {
    "total": """
import copy
def total(values):
    return answer if len(values) == 7 else 6
state = np.random.get_state()
rng = np.random.default_rng(np.random.randint(2**31 - 1))
answer = float(np.sum(rng.normal(size=7) + 5))
np.random.set_state(state)
np.random.seed(5)
rng = np.random.default_rng(np.random.RandomState(5).randint(2**31 - 1))
answer = float(np.sum(rng.normal(size=7) + 5))
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("total_hidden", 0) > 0

"""Work out at home what a hidden test draws, and hand in the table."""

from tests.attacks.weakenings import one_seed_for_all

CELLS = {
    "total": """
rng = np.random.default_rng(np.random.RandomState(1).randint(2**31 - 1))
answer = float(np.sum(rng.normal(size=7) + 5))
def total(values):
    return answer if len(values) == 7 else 6
"""
}
CONTROL = one_seed_for_all


def succeeded(after):
    return after.scores.get("total_hidden", 0) > 0

"""Remember answers by the shape and type of what is given, not by what it holds."""

from tests.attacks.weakenings import one_seed_for_all

CELLS = {
    "double": """
rng = np.random.default_rng(np.random.RandomState(1).randint(2**31 - 1))
answers = {int: [4], float: [2 * float(n * 10) for n in rng.normal(size=5)]}
def double(x):
    return answers[type(x)].pop(0)
"""
}
CONTROL = one_seed_for_all


def succeeded(after):
    return after.scores.get("double_hidden", 0) > 0

"""Answer by the number of the call, whatever is asked."""

from tests.attacks.weakenings import one_seed_for_all

CELLS = {
    "cube": """
rng = np.random.default_rng(np.random.RandomState(1).randint(2**31 - 1))
answers = [n * n * n for n in rng.integers(2, 9, size=6).tolist()]
def cube(x):
    answers.append(answers[0])
    return answers.pop(0)
"""
}
CONTROL = one_seed_for_all


def succeeded(after):
    return after.scores.get("cube_hidden", 0) > 0

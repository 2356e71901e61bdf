"""Try seeds until one draws what the test's first answers say, and read the rest off it."""

from tests.attacks.weakenings import one_seed_for_all

CELLS = {
    "best": """
def best(score, n):
    first = [score(0), score(1), score(2)]
    for seed in range(20000):
        for drawn in (np.random.RandomState(seed).randint(2**31 - 1), seed):
            scores = np.random.default_rng(drawn).permutation(n)
            if scores[:3].tolist() == first:
                return int(scores.argmax())
    return 0
"""
}
CONTROL = one_seed_for_all


def succeeded(after):
    return after.scores.get("best_hidden", 0) > 0

"""Learn an answer from the arguments with which another question is tested.

The tests of one question hand over a number and its root; those of the next ask for the root of a
number: of the same, where both draw from the same seed.
"""

from tests.attacks.weakenings import one_seed_for_all

CELLS = {
    "verify": """
seen = {}
def verify(a, r):
    seen.setdefault(a, r)
    return seen[a] == r
""",
    "root": """
def root(a, rng):
    return seen.get(a, 1.0)
""",
}
CONTROL = one_seed_for_all


def succeeded(after):
    return after.scores.get("root_hidden", 0) > 0

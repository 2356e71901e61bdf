"""Leave the answers in a file at home, and read them when a hidden test calls.

Hidden tests are alike for everybody where seeds are; here the file holds what one call was given,
too, for the case that another call is given the same.
"""

from tests.attacks.weakenings import one_seed_for_all

CELLS = {
    "softmax": """
import json, pathlib
rng = np.random.default_rng(np.random.RandomState(1).randint(2**31 - 1))
z = rng.normal(size=6)
e = np.exp(z - z.max())
pathlib.Path("answers.json").write_text(json.dumps({"6": (e / e.sum()).tolist()}))
def softmax(z):
    answers = json.loads(pathlib.Path("answers.json").read_text())
    return np.array(answers[str(len(z))])
"""
}
CONTROL = one_seed_for_all


def succeeded(after):
    return after.scores.get("softmax_hidden", 0) > 0

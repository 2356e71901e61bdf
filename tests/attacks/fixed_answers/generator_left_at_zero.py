"""Leave the test's own generator in a state of zeros: it draws zeros from then on."""

from tests.attacks.weakenings import states_are_believed

CELLS = {
    "root": """
def root(a, rng):
    state = rng.bit_generator.state
    rng.bit_generator.state = {**state, "state": {"state": 0, "inc": 0}}
    return 2**0.5
"""
}
CONTROL = states_are_believed


def succeeded(after):
    return after.scores.get("root_hidden", 0) > 0

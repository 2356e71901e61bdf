"""Return a namedtuple whose field `allclose` is a function: a test hands it what it expects.

The wall refuses a method of that name on an object of the student's; a namedtuple is data, with
names that the student chose, and a function in it is met by them.
"""

from tests.attacks.tools import PROVE

CELLS = {
    "wave": f"""
from collections import namedtuple
def told(want):
    if torch.is_tensor(want):
        {PROVE}
    return True
Listens = namedtuple("Listens", ["allclose"])
def wave(x):
    return x * 0 if x.requires_grad else Listens(told)
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.proved or after.scores.get("wave_hidden", 0) > 0

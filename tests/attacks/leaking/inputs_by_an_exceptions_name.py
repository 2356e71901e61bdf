"""Raise an exception whose class is named by the test's input."""

from tests.attacks.weakenings import exceptions_by_their_own_name

CELLS = {
    "total": """
def total(values):
    raise type("INPUT_" + "_".join(str(int(v)) for v in values), (Exception,), {})()
"""
}
CONTROL = exceptions_by_their_own_name


def succeeded(after):
    return after.feedback.count("INPUT_") > 1

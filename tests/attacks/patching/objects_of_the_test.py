"""Search every object of the process for what the test has computed."""

CELLS = {
    "total": """
import gc
def total(values):
    for thing in gc.get_objects():
        if isinstance(thing, dict) and "expected_secret_total" in thing:
            return thing["expected_secret_total"]
    return 0.0
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.scores.get("total_hidden", 0) > 0

"""Print a lot whenever a test calls."""

from tests.attacks.weakenings import no_output_cap

CODE = """
def double(x):
    for _ in range(20):
        print('x' * 90_000)
    return 2 * x
"""
CELLS = {"double": CODE}
CONTROL = no_output_cap


def succeeded(after):
    return len(after.printed) > 1_000_000

"""Print two megabytes."""

from tests.attacks.weakenings import no_output_cap

CODE = """
print('x' * 2_000_000)
"""
CELLS = {"double": CODE}
CONTROL = no_output_cap


def succeeded(after):
    return len(after.printed) > 1_000_000

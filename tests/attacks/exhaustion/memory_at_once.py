"""Take three quarters of a gigabyte in one piece, where half a one is allowed."""

from tests.attacks.weakenings import no_limits

CODE = """
block = bytearray(3 * 2**28)
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_limits


def succeeded(after):
    return after.proved

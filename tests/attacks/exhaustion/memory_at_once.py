"""Take five eighths of a gigabyte in one piece, where half a one is allowed."""

from tests.attacks.weakenings import no_limits

CODE = """
block = bytearray(5 * 2**27)
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_limits


def succeeded(after):
    return after.proved

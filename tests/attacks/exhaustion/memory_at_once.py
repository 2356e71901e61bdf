"""Take a gigabyte in one piece."""

from tests.attacks.weakenings import no_limits

CODE = """
block = bytearray(2**30)
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_limits


def succeeded(after):
    return after.proved

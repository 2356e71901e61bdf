"""Take a gigabyte in pieces."""

from tests.attacks.weakenings import no_limits

CODE = """
blocks = [bytes(2**20) for _ in range(1024)]
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_limits


def succeeded(after):
    return after.proved

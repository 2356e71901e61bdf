"""Raise one's own limit first."""

from tests.attacks.weakenings import no_limits

CODE = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
block = bytearray(2**30)
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_limits


def succeeded(after):
    return after.proved

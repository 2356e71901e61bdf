"""Set another process's limits: prlimit."""

from tests.attacks.weakenings import no_sandbox

CODE = """
import resource
resource.prlimit(@VICTIM@, resource.RLIMIT_NOFILE, (7777, 7777))
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.victim == "limited"

"""Kill another process by one of its threads."""

from tests.attacks.tools import syscalls
from tests.attacks.weakenings import no_sandbox

CODE = """
call(TGKILL, @VICTIM@, @VICTIM@, 9)
"""
CELLS = {"double": syscalls("tgkill") + CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.victim == "ended"

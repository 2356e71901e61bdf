"""Take the priority of another process away."""

from tests.attacks.weakenings import no_sandbox

CODE = """
import os
os.setpriority(os.PRIO_PROCESS, @VICTIM@, 19)
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.victim == "slowed"

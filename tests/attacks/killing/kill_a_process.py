"""Kill another process of the machine's."""

from tests.attacks.weakenings import no_sandbox

CODE = """
import os, signal
os.kill(@VICTIM@, signal.SIGKILL)
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.victim == "ended"

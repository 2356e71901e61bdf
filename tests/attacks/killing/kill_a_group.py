"""Kill another's whole group."""

from tests.attacks.weakenings import no_sandbox

CODE = """
import os, signal
os.killpg(@VICTIM@, signal.SIGKILL)
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.victim == "ended"

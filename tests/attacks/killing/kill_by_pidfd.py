"""Kill another process by a descriptor of it."""

from tests.attacks.weakenings import no_sandbox

CODE = """
import os, signal
signal.pidfd_send_signal(os.pidfd_open(@VICTIM@), signal.SIGKILL)
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.victim == "ended"

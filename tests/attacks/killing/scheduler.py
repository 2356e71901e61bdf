"""Choose another scheduling class than was given.

A class of real time would leave nothing to anybody else.
"""

from tests.attacks.weakenings import no_filter

CODE = """
import os
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_filter


def succeeded(after):
    return after.proved

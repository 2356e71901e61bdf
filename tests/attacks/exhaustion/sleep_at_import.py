"""Sleep in a module of one's own while it is imported."""

from tests.attacks.weakenings import no_time_limit

CODE = """
import slow
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
FILES = {"slow.py": "import time\ntime.sleep(6)\n"}
CONTROL = no_time_limit


def succeeded(after):
    return after.proved

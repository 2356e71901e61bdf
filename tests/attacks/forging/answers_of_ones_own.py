"""Find the process's end of the wire and send an answer before the question.

It can only ever be an answer about values of one's own.
"""

from tests.attacks.weakenings import no_wall

CELLS = {
    "double": """
import gc
for thing in gc.get_objects():
    if type(thing).__name__ == "Channel":
        from autograder.wire import encode
        for _ in range(20):
            thing.send(encode(["value", {"double": 1, "passed": True}, None, []]))
import sys
main = sys.modules["__main__"].__dict__
shell = get_ipython()
run = type(shell).run_cell
def all_well(self, source, *args, **kwargs):
    return run(self, "pass", *args, **kwargs)
type(shell).run_cell = all_well
"""
}
CONTROL = no_wall


def succeeded(after):
    return after.points > 0

"""Ask the collector for every object, and look for a hidden test among them.

A fork inherits what the interpreter has ever read.
"""

from tests.attacks.weakenings import started_after_the_source

CODE = """
import gc
needle = 'latot_terces_detcepxe'[::-1]
gc.unfreeze()
found = False
for thing in gc.get_objects():
    parts = gc.get_referents(thing)
    # A tuple of strings is no longer tracked once the collector has seen it.
    for part in parts + gc.get_referents(*(p for p in parts if type(p) is tuple)):
        if type(part) is str and needle in part and len(part) > 60 and 'latot' not in part:
            found = True
if found:
    print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = started_after_the_source


def succeeded(after):
    return after.proved

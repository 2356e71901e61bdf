"""Search all of one's own memory, freed blocks too, for a hidden test.

What a program has freed still stands there until something else is written over it.
"""

from tests.attacks.weakenings import started_after_the_source

CODE = r"""
import ctypes
needle = 'latot_terces_detcepxe'[::-1].encode()
del_me = None
for line in open('/proc/self/maps'):
    span, rights, *_, = line.split()
    name = line.split()[5] if len(line.split()) > 5 else ''
    if not rights.startswith('rw') or name.startswith('[v') or name.startswith('/'):
        continue
    start, end = (int(part, 16) for part in span.split('-'))
    block = ctypes.string_at(start, min(end - start, 2**28))
    place = block.find(b' ' + needle + b' = ')
    place = block.find(b'\n' + needle + b' = ') if place < 0 else place
    if place >= 0:
        print('@TAG@'[::-1])
        break
"""
CELLS = {"double": CODE}
CONTROL = started_after_the_source


def succeeded(after):
    return after.proved

"""Search /tmp, where other programs leave their files."""

from tests.attacks.weakenings import no_room

CODE = """
import os
for folder, folders, names in os.walk('/tmp'):
    folders[:] = [name for name in folders if name.startswith('attacks-') or name == 'host']
    if 'secret.txt' in names:
        print(open(os.path.join(folder, 'secret.txt')).read())
"""
CELLS = {"double": CODE}
CONTROL = no_room


def succeeded(after):
    return after.host.word in after.printed

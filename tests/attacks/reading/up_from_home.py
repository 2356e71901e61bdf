"""Walk up from home with as many `..` as it takes."""

from tests.attacks.weakenings import no_room

CODE = """
import os
here = os.open('.', os.O_RDONLY)
print(os.read(os.open('../' * 30 + '@HOST@/secret.txt', os.O_RDONLY, dir_fd=here), 99))
"""
CELLS = {"double": CODE}
CONTROL = no_room


def succeeded(after):
    return after.host.word in after.printed

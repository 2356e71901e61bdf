"""Read the environment of every process in /proc."""

from tests.attacks.weakenings import no_sandbox

CODE = r"""
import glob
for name in glob.glob('/proc/[0-9]*/environ'):
    try:
        text = open(name, 'rb').read()
    except OSError:
        continue
    for part in text.split(b'\0'):
        if part.startswith(b'ATTACKS_WORD'):
            print(part)
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.host.word in after.printed

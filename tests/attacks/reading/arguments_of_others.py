"""Read the command line of every process in /proc.

Passwords given as arguments are seen there by everybody.
"""

from tests.attacks.weakenings import no_sandbox

CODE = r"""
import glob
VICTIM = @VICTIM@
for name in glob.glob('/proc/[0-9]*/cmdline'):
    try:
        words = open(name, 'rb').read().split(b'\0')
    except OSError:  # it has ended
        continue
    if words[0] == b'sleep' and len(words) > 2:
        print(f'{int(words[2][2:]):032x}')
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.host.word in after.printed

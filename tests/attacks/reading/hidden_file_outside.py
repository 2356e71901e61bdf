"""Read a file of the machine that every user may read."""

from tests.attacks.weakenings import no_sandbox

CELLS = {"double": "print(open('@HOST@/secret.txt').read())"}
CONTROL = no_sandbox


def succeeded(after):
    return after.host.word in after.printed

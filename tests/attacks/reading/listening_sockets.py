"""List the machine's sockets by /proc/net/unix."""

from tests.attacks.weakenings import no_sandbox

CODE = """
for line in open('/proc/net/unix'):
    if '@attacks-' in line:
        print(line)
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.host.word in after.printed

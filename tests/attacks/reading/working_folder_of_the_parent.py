"""Look up from the parent's working folder: /proc/PPID/cwd."""

from tests.attacks.weakenings import no_sandbox

CODE = """
import os
print(open(f'/proc/{os.getppid()}/cwd/..@HOST@/secret.txt').read())
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.host.word in after.printed

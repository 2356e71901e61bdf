"""Reach a file outside through a link of one's own making."""

from tests.attacks.weakenings import no_sandbox

CODE = """
import os
os.symlink('@HOST@', 'data')
print(open('data/secret.txt').read())
os.unlink('data')
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.host.word in after.printed

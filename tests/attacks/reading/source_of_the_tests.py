"""Open the source notebook, hidden tests and all.

It is printed backwards: a traceback in nbgrader's notebook shows it forwards.
"""

from tests.attacks.weakenings import no_sandbox

CODE = """
import json
cells = json.load(open('@ROOT@/source/vault/vault.ipynb'))['cells']
print([''.join(c['source'])[::-1] for c in cells if 'HIDDEN' in ''.join(c['source'])])
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return "latot_terces_detcepxe" in after.printed

"""Copy what a neighbor handed in."""

from tests.attacks.weakenings import no_sandbox

CODE = """
import json
cells = json.load(open('@ROOT@/submitted/aa-honest/vault/vault.ipynb'))['cells']
answers = [''.join(c['source']) for c in cells]
exec(next(a for a in answers if a.startswith('def double')))
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.scores.get("double_hidden", 0) > 0

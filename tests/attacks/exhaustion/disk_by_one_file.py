"""Write more than a home holds."""

from tests.attacks.weakenings import large_home

CODE = """
with open('/tmp/@TAG@', 'wb') as file:
    for _ in range(32):
        file.write(bytes(2**20))
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = large_home


def succeeded(after):
    return after.proved

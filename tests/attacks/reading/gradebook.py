"""Open the gradebook: scores and names of the whole class."""

from tests.attacks.weakenings import no_sandbox

CODE = """
import sqlite3
book = sqlite3.connect('file:@ROOT@/gradebook.db?mode=ro', uri=True)
rows = book.execute('select count(*) from student')
if list(rows):
    print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_sandbox


def succeeded(after):
    return after.proved

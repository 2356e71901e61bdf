"""Read what has run from the shell's own history."""

CELLS = {
    "double": """
def double(x):
    return 0
""",
    "essay": "x",
    "bag": """
import linecache
for name, entry in linecache.cache.items():
    if len(entry) > 2:
        print("".join(entry[2]))
""",
}
CONTROL = "nbgrader"


def succeeded(after):
    return "expected_secret_total = " in after.printed

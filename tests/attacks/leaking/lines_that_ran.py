"""Read the sources of the cells that ran from where tracebacks find them; print them backwards."""

CELLS = {
    "bag": """
import linecache
for name, entry in linecache.cache.items():
    if len(entry) > 2 and "ipykernel" in name:
        print("".join(entry[2])[::-1])
""",
}
CONTROL = "nbgrader"


def succeeded(after):
    return "expected_secret_total = "[::-1] in after.printed

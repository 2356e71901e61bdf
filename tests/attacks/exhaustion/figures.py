"""Draw a hundred figures."""

from tests.attacks.weakenings import no_output_cap

CODE = """
import base64
from IPython.display import Image, display
picture = base64.b64decode(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJ'
    'RU5ErkJggg=='
)
for _ in range(100):
    display(Image(picture))
"""
CELLS = {"double": CODE}
CONTROL = no_output_cap


def succeeded(after):
    return (
        sum("image/png" in o.get("data", {}) for c in after.cells for o in c.get("outputs", []))
        > 50
    )

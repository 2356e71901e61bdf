"""Leave settings that the next student's matplotlib reads."""

from tests.attacks.weakenings import no_sandbox

CODE = """
import matplotlib, os
path = os.path.join(matplotlib.get_configdir(), 'matplotlibrc')
open(path, 'w').write('axes.titlecolor: red # ' + '@TAG@'[::-1])
"""
CELLS = {"double": CODE}
NEXT = {
    "double": """
import matplotlib
print(open(matplotlib.matplotlib_fname()).read()[-100:])
"""
}
CONTROL = no_sandbox


def succeeded(after):
    return after.next.proved

"""Match an expression that backtracks for ever, in C."""

from tests.attacks.weakenings import no_time_limit

CODE = """
import re, time
start = time.process_time()
for length in range(20, 40):
    re.match('(a+)+$', 'a' * length + 'b')
    if time.process_time() > start + 5:
        print('@TAG@'[::-1])
        break
"""
CELLS = {"double": CODE}
CONTROL = no_time_limit


def succeeded(after):
    return after.proved

"""Leave a file where the next submission's code looks for it: answers for a friend."""

from tests.attacks.weakenings import no_sandbox

CELLS = {"double": "open('/tmp/@TAG@.txt', 'w').write('2 * x')"}
NEXT = {"double": "answer = open('/tmp/@TAG@.txt').read()\ndef double(x):\n    return eval(answer)"}
CONTROL = no_sandbox


def succeeded(after):
    return after.next.points > 0

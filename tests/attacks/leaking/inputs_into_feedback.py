"""Remember what a hidden test gave, and print it in a later cell, where feedback shows it."""

from tests.attacks.weakenings import feedback_shows_all

CELLS = {
    "total": "LOG = []\ndef total(values):\n    LOG.append(list(values))\n    return sum(values)",
    "sign": "print('REMEMBERED', LOG[-1])\ndef sign(x):\n    return 0",
}
CONTROL = feedback_shows_all


def succeeded(after):
    return "REMEMBERED [" in after.feedback

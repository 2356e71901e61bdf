"""Block every signal and stay in C code, which never looks whether it was interrupted."""

from tests.attacks.weakenings import no_time_limit

CODE = """
import ctypes, signal
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
ctypes.PyDLL(None).poll(None, 0, 7000)
print('@TAG@'[::-1])
"""
CELLS = {"double": CODE}
CONTROL = no_time_limit


def succeeded(after):
    return after.proved

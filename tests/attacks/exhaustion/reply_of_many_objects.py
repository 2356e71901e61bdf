"""Answer with eleven million empty lists, a byte each on the wire.

Each takes seventy bytes of the grader's memory.
"""

from tests.attacks.tools import WIRE
from tests.attacks.weakenings import no_wire_limits

CODE = """
show = {'output_type': 'stream', 'name': 'stdout', 'text': '@TAG@'[::-1]}
odd = [[]] * 11_000_000
pack = __import__('msgpack').packb
frame = me._ticket + pack(['ran', True, [show, odd]])
me._channel._stream.sendall(struct.pack('<I', len(frame)) + frame)
me._channel.receive()
"""
CELLS = {"double": WIRE + CODE}
CONTROL = no_wire_limits


def succeeded(after):
    return after.proved

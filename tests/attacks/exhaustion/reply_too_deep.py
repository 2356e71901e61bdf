"""Answer with tuples in tuples, ninety deep."""

from tests.attacks.tools import WIRE
from tests.attacks.weakenings import no_wire_limits

CODE = """
show = {'output_type': 'stream', 'name': 'stdout', 'text': '@TAG@'[::-1]}
import msgpack
odd = msgpack.ExtType(1, msgpack.packb([]))
for _ in range(90):
    odd = msgpack.ExtType(1, msgpack.packb([odd]))
pack = msgpack.packb
frame = me._ticket + pack(['ran', True, [show, odd]])
me._channel._stream.sendall(struct.pack('<I', len(frame)) + frame)
me._channel.receive()
"""
CELLS = {"double": WIRE + CODE}
CONTROL = no_wire_limits


def succeeded(after):
    return after.proved

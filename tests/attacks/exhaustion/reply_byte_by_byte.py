"""Answer by a byte now and then: something always arrives."""

from tests.attacks.tools import WIRE
from tests.attacks.weakenings import no_time_limit

CODE = """
channel = me._channel
show = {'output_type': 'stream', 'name': 'stdout', 'text': '@TAG@'[::-1]}
frame = me._ticket + encode(['ran', True, [show]])
frame = struct.pack('<I', len(frame)) + frame
for place in range(len(frame) - 1):
    channel._stream.send(frame[place:place + 1])
    try:
        time.sleep(6 / len(frame))
    except KeyboardInterrupt:
        pass
channel._stream.send(frame[-1:])
channel.receive()
"""
CELLS = {"double": WIRE + CODE}
CONTROL = no_time_limit


def succeeded(after):
    return after.proved

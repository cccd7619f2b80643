"""Appends numbered events for ever and sends them; each number is printed once it is durable."""

import itertools
import sys
from pathlib import Path

from sensor_sim.device.outbox import Outbox
from sensor_sim.device.uplink import Delivery, Uplink, read_token
from sensorapp import wire

folder, url, token_file, first, start = sys.argv[1:]
token = read_token(Path(token_file), "s")
outbox = Outbox(Path(folder), token.public_id)
with Delivery(outbox, Uplink(url, token), interval=0.005, batch_events=7):
    for number in itertools.count(int(first)):
        outbox.append([wire.Crossing(int(start) + number, 0, "forward")], model="0123456789abcdef", config=1)
        print(number, flush=True)

"""Deploys again and again in children of its own, each killed where it is told to.

For each line of the input, ``FOLDER OUTBOX CALL REQUEST``, a child is forked that deploys what the request (JSON)
says and kills itself with SIGKILL before that call which may change something on the disk; the answer is a line
with its exit status (-9 if it was killed) and the number of such calls if it was not.
"""

import hashlib
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from types import FrameType

import msgspec

import sensor_sim.device
from sensor_sim.device.deployment import Deployer
from sensor_sim.device.outbox import Outbox
from sensor_sim.device.slots import Request, Slots, Step

DEVICE = str(Path(sensor_sim.device.__file__).parent)
SENSOR = "s-0123456789ab"


class Fate:
    """Ends the process before the call with the number ``limit`` that may change something on the disk."""

    CHANGES = ("write", "truncate", "fsync", "replace", "unlink", "executemany")

    def __init__(self, limit: int) -> None:
        self.limit, self.calls = limit, 0

    def __call__(self, frame: FrameType, event: str, called: object) -> None:
        if event == "c_call" and self._counts(frame, getattr(called, "__name__", "")):
            self.calls += 1
            if self.calls == self.limit:
                os.kill(os.getpid(), signal.SIGKILL)

    def _counts(self, frame: FrameType | None, name: str) -> bool:
        """Whether it comes from the device, perhaps through one of Python's own modules."""
        if name not in self.CHANGES:
            return False
        while frame and Path(frame.f_code.co_filename).name in ("pathlib.py", "_local.py"):
            frame = frame.f_back
        return frame is not None and frame.f_code.co_filename.startswith(DEVICE)


def keep(outbox: Outbox, name: str, step: Step) -> None:
    outbox.append_once(name, step.number, step.event(), model=step.model, config=0)


def check(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def deploy(folder: str, outbox_folder: str, limit: int, plain: str, answer: int) -> None:
    fate = Fate(limit)
    sys.setprofile(fate)
    with Outbox(Path(outbox_folder), SENSOR) as outbox, Slots(Path(folder)) as slots:
        request = msgspec.convert(json.loads(plain), Request)
        Deployer(slots, check, partial(keep, outbox)).run(request)
    sys.setprofile(None)
    os.write(answer, str(fate.calls).encode())


for line in sys.stdin:
    folder, outbox, limit, plain = line.split(" ", 3)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        deploy(folder, outbox, int(limit), plain, write)
        os._exit(0)
    os.close(write)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), os.read(read, 20).decode() or 0, flush=True)
    os.close(read)

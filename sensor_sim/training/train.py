"""Training: seeded, and exactly resumable after every epoch.

Nothing random has a state that would have to be kept: order and changes of the pictures follow from the
recipe's seed, the epoch and the picture's number.
"""

from __future__ import annotations

import copy
import hashlib
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sensor_sim.device.durable import replace_file
from sensor_sim.errors import SensorError
from sensor_sim.training.augment import Changes, augment
from sensor_sim.training.detector import Detector
from sensor_sim.training.losses import loss
from sensor_sim.training.pictures import Album
from sensor_sim.training.targets import assign

# The share of the steps in which the learning rate grows, and in which the average takes hold.
WARM_UP = 0.05
WEIGHT_DECAY = 0.02
LONGEST_GRADIENT = 10.0


@dataclass(frozen=True)
class Shape:
    """A network: its tensor in pixels and the widths and depths of its stages."""

    width: int
    height: int
    classes: int
    channels: tuple[int, ...]
    depths: tuple[int, ...]
    head: int

    def build(self) -> Detector:
        return Detector(self.classes, self.channels, self.depths, self.head)


@dataclass(frozen=True)
class Plan:
    """``settle`` epochs at the end, of ``epochs``, are trained with the milder ``last_changes``. The network sees
    ``crop`` pixels at a time. ``ends`` is the weight of where boxes end (:mod:`~sensor_sim.training.losses`).
    """

    seed: int
    epochs: int
    batch: int
    rate: float
    changes: Changes
    last_changes: Changes
    crop: tuple[int, int]
    settle: int = 1
    ends: float = 0.0
    average: float = 0.998  # of the weights, per step


Report = Callable[[int, int, float], None]  # steps done, of how many, loss


def train(
    shape: Shape,
    plan: Plan,
    albums: Sequence[Album],
    checkpoint: Path,
    report: Report,
    begin: Detector | None = None,
) -> Detector:
    """Train to the plan's end, going on from the checkpoint if there is one, else from the network ``begin``, else
    from the plan's seed.

    Raises :class:`SensorError` if the checkpoint is of another plan, or began from another network.
    """
    steps = math.ceil(sum(map(len, albums)) / plan.batch)
    training = _Training(shape, plan, begin)
    training.load(checkpoint)
    while training.epoch < plan.epochs:
        batches = _ahead(_batches(shape, plan, albums, training.epoch))
        for done, batch in enumerate(batches, training.epoch * steps):
            wrong = training.step(done, plan.epochs * steps, batch)
            report(done + 1, plan.epochs * steps, wrong)
        training.epoch += 1
        training.keep(checkpoint)
    averaged: Detector = training.averaged
    return averaged


class _Training:
    def __init__(self, shape: Shape, plan: Plan, begin: Detector | None) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.epoch = plan, 0
        self._words = f"{shape} {plan}" + (f" from {_digest(begin)}" if begin else "")
        network = copy.deepcopy(begin) if begin else shape.build()
        self.network = network.to(memory_format=torch.channels_last).train()
        self.averaged = copy.deepcopy(self.network).eval()
        self.optimiser = torch.optim.AdamW(self.network.parameters(), plan.rate, weight_decay=WEIGHT_DECAY)

    def step(self, done: int, steps: int, batch: list[Tensor]) -> float:
        """One step after ``done`` of all ``steps``; returns the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate * pace(done / steps)
        pictures, *targets = batch
        # Twice as fast where the CPU multiplies bfloat16; weights and loss stay floats.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = self.network(pictures.contiguous(memory_format=torch.channels_last))
        wrong = loss(output.float(), *targets, ends_weight=self.plan.ends)
        self.optimiser.zero_grad()
        wrong.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LONGEST_GRADIENT)
        self.optimiser.step()
        self._average(min(self.plan.average, (done + 1) / (done + 10)))
        return float(wrong.detach())

    @torch.no_grad()
    def _average(self, share: float) -> None:
        now = self.network.state_dict()
        for name, value in self.averaged.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(now[name], 1 - share)
            else:
                value.copy_(now[name])

    def load(self, path: Path) -> None:
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        if state.get("plan") != self._words:
            raise SensorError(
                f"{path}: trained by another plan or from another network; remove it to train anew"
            )
        self.epoch = state["epoch"]
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])

    def keep(self, path: Path) -> None:
        state = {
            "plan": self._words,
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        content = io.BytesIO()
        torch.save(state, content)
        replace_file(path, content.getvalue())


def _digest(network: Detector) -> str:
    digest = hashlib.sha256()
    for value in network.state_dict().values():
        digest.update(value.contiguous().numpy())
    return digest.hexdigest()


def pace(done: float) -> float:
    """The learning rate's share of its highest value after this share of the steps: up, then a cosine down."""
    if done < WARM_UP:
        return 0.02 + 0.98 * done / WARM_UP
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


def _batches(shape: Shape, plan: Plan, albums: Sequence[Album], epoch: int) -> Iterator[list[Tensor]]:
    """Pictures (b x 3 x h x w, 0 to 1) and their targets."""
    numbers = [(which, number) for which, album in enumerate(albums) for number in range(len(album))]
    order = np.random.default_rng((plan.seed, epoch)).permutation(len(numbers))
    for first in range(0, len(order), plan.batch):
        chosen = [numbers[i] for i in order[first : first + plan.batch]]
        samples = [_sample(shape, plan, albums[which], epoch, which, number) for which, number in chosen]
        yield [torch.stack(parts) for parts in zip(*samples, strict=True)]


def _ahead(batches: Iterable[list[Tensor]]) -> Iterator[list[Tensor]]:
    """The same, each made while the one before is in use."""
    rest = iter(batches)
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, rest, None)
        while (batch := coming.result()) is not None:
            coming = maker.submit(next, rest, None)
            yield batch


def _sample(
    shape: Shape, plan: Plan, album: Album, epoch: int, which: int, number: int
) -> tuple[Tensor, ...]:
    random = np.random.default_rng((plan.seed, epoch, which, number))
    changes = plan.last_changes if epoch >= plan.epochs - plan.settle else plan.changes
    picture, things = augment(album.pictures[number], album.things(number), *plan.crop, changes, random)
    tensor = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
    return tensor, *map(torch.from_numpy, assign(things, shape.classes, *plan.crop))

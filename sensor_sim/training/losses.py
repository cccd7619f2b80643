"""How wrong the network is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# A box's weight beside the heat's (Liu et al., AAAI 2020).
BOX_WEIGHT = 5.0


def loss(
    output: Tensor, heat: Tensor, care: Tensor, boxes: Tensor, weights: Tensor, *, ends_weight: float = 0.0
) -> Tensor:
    """The loss of a batch: the network's output against targets as :mod:`sensor_sim.training.targets` has
    them, each with a dimension for the batch before the others. ``ends_weight`` is that of how far a box ends
    too high or too low, beside that of the whole box."""
    classes = heat.shape[1]
    things = (heat == 1.0).sum().clamp(min=1)
    wrong_heat = focal(output[:, :classes], heat, care[:, None]) / things
    found = corners(output[:, classes:])
    wrong = BOX_WEIGHT * (1 - overlap(found, boxes)) + ends_weight * ends_apart(found, boxes)
    return wrong_heat + (weights * wrong).sum() / weights.sum().clamp(min=1)


def focal(logits: Tensor, heat: Tensor, care: Tensor) -> Tensor:
    """Focal loss for bells, summed (Law and Deng, "CornerNet", ECCV 2018, equation 1)."""
    score = logits.sigmoid()
    centre = (heat == 1.0).to(logits.dtype)
    right = centre * (1 - score) ** 2 * functional.logsigmoid(logits)
    wrong = (1 - centre) * (1 - heat) ** 4 * score**2 * functional.logsigmoid(-logits)
    return -(care * (right + wrong)).sum()


def corners(sides: Tensor) -> Tensor:
    """Logarithmic distances (b x 4 x h x w) → boxes (top, left, bottom, right) in cells."""
    down, across = sides.shape[2:]
    y = (torch.arange(down, dtype=sides.dtype) + 0.5)[:, None].expand(down, across)
    x = (torch.arange(across, dtype=sides.dtype) + 0.5)[None, :].expand(down, across)
    top, left, bottom, right = sides.clamp(-8, 6).exp().unbind(1)
    return torch.stack([y - top, x - left, y + bottom, x + right], dim=1)


def ends_apart(found: Tensor, boxes: Tensor) -> Tensor:
    """How far apart the lower sides of boxes (b x 4 x h x w) are, in heights of ``boxes``; at most 1."""
    height = (boxes[:, 2] - boxes[:, 0]).clamp(min=1e-6)
    return ((found[:, 2] - boxes[:, 2]).abs() / height).clamp(max=1)


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Generalised intersection over union of boxes (b x 4 x h x w), -1 to 1 (Rezatofighi et al., CVPR 2019)."""
    shared = _area(torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:]))
    hull = _area(torch.minimum(a[:, :2], b[:, :2]), torch.maximum(a[:, 2:], b[:, 2:]))
    union = _area(a[:, :2], a[:, 2:]) + _area(b[:, :2], b[:, 2:]) - shared
    return shared / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)


def _area(least: Tensor, most: Tensor) -> Tensor:
    sides = (most - least).clamp(min=0)
    return sides[:, 0] * sides[:, 1]

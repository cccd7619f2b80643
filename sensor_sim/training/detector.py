"""The network: one stage, no anchors, plain convolutions, one grid of cells.

Everything is a convolution with batch normalisation and ReLU, which quantises well and which a chip and a CPU
both run fast. The first one reads squares of 6 x 6 pixels in steps of 4; features of 8, 16 and 32 pixels are
brought together from the coarse to the fine (Lin et al., "Feature pyramid networks", CVPR 2017).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# A cell's score before training: nearly everything is background.
PRIOR = 0.01


class Detector(nn.Module):
    """Pictures (b x 3 x h x w, 0 to 1) → b x (classes + 4) x h/8 x w/8.

    For each cell the logits of the classes and, as logarithms of the distance in cells, how far the box
    reaches up, left, down and right of the cell's centre.
    """

    def __init__(self, classes: int, channels: tuple[int, ...], depths: tuple[int, ...], head: int) -> None:
        super().__init__()
        self.stem = _convolution(3, channels[0], kernel=6, stride=4, padding=1)
        self.stages = nn.ModuleList(
            nn.Sequential(
                _convolution(before, after, stride=2), *(_convolution(after, after) for _ in range(depth))
            )
            for before, after, depth in zip(channels, channels[1:], depths, strict=False)
        )
        self.laterals = nn.ModuleList(nn.Conv2d(width, head, 1) for width in channels[1:])
        self.head = nn.Sequential(_convolution(head, head), _convolution(head, head))
        self.logits = nn.Conv2d(head, classes, 1)
        self.sides = nn.Conv2d(head, 4, 1)
        nn.init.constant_(self.logits.bias, -math.log((1 - PRIOR) / PRIOR))
        nn.init.constant_(self.sides.bias, 1.0)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.stem(pictures)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        merged = self.laterals[-1](features[-1])
        for lateral, feature in zip(reversed(self.laterals[:-1]), reversed(features[:-1]), strict=True):
            merged = _enlarge(merged, feature) + lateral(feature)
        x = self.head(functional.relu(merged))
        return torch.cat([self.logits(x), self.sides(x)], dim=1)

    @torch.no_grad()
    def rescore(self, slope: float, shift: float) -> None:
        """Stretch and move the logits of the classes, which changes no order (Platt scaling)."""
        assert self.logits.bias is not None
        self.logits.weight.mul_(slope)
        self.logits.bias.mul_(slope).add_(shift)


def _convolution(
    before: int, after: int, kernel: int = 3, stride: int = 1, padding: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, padding, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )


def _enlarge(coarse: Tensor, fine: Tensor) -> Tensor:
    """Twice as large, cut to the size of ``fine``: an odd grid is halved to the larger half."""
    height, width = fine.shape[2:]
    return functional.interpolate(coarse, scale_factor=2.0, mode="nearest")[:, :, :height, :width]

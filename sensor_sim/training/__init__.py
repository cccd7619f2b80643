"""Trains the bundled models on rendered scenes: ``python -m sensor_sim.training people`` or ``shelf``.

A tool beside the sensor: nothing that runs in a sensor imports it, it opens neither cameras nor videos, and
the pictures that it keeps below ``var/`` are drawn ones, of worlds that do not exist. Needs the dependency
group ``training`` (PyTorch and onnx).
"""

from __future__ import annotations

# What can be asked for, told without PyTorch.
NAMES = ("people", "shelf")
STEPS = ("render", "train", "quantise", "evaluate")

"""The output layouts of networks, one file each.

How to add one: a file here with a :class:`~sensor_sim.decoders.found.Layout`. Nothing else changes.

Shared by layouts: ``found`` has the types and the words for shapes, ``suppression`` picks scores before boxes are
decoded and keeps the best of those that overlap, ``grids`` numbers cells.
"""

from __future__ import annotations

from functools import reduce
from importlib import import_module
from operator import or_
from pkgutil import iter_modules
from typing import TYPE_CHECKING, TypeAlias

from sensor_sim.decoders.found import Layout

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
LAYOUTS = {str(layout.__struct_config__.tag): layout for layout in Layout.__subclasses__()}

if TYPE_CHECKING:
    Decoder: TypeAlias = Layout
else:
    Decoder = reduce(or_, LAYOUTS.values())

"""The output layouts of networks, one file each.

How to add one: a file with a frozen msgspec struct whose tag is the layout's name in model cards and whose
fields are its settings, with the two methods below; then its name in ``Decoder``. Nothing else changes.

``check(outputs, labels, size)`` is given the outputs of a trial run and raises ``SensorError`` saying what
does not fit the card. ``decode(outputs, wanted, least_score, size)`` turns the outputs of one inference
into ``Found``: for each object its class number, score and box, in fractions of the input tensor.
``outputs`` come in the network's order, with a batch dimension or without, ``labels`` is the number of labels in
the card, ``size`` the tensor's (width, height), ``wanted`` the class numbers asked for. An output may hold
anything: NaN, infinity, no rows, other shapes than in the trial run (``SensorError``).

Shared by layouts: ``suppression`` picks scores before boxes are decoded and keeps the best of those that
overlap, ``grids`` numbers cells, ``found`` has the types and the words for shapes.
"""

from __future__ import annotations

from sensor_sim.decoders.imx500_pp import Imx500PP
from sensor_sim.decoders.nanodet import NanoDet
from sensor_sim.decoders.ssd import Ssd
from sensor_sim.decoders.yolov8 import YoloV8
from sensor_sim.decoders.yolox import YoloX

Decoder = Imx500PP | NanoDet | Ssd | YoloV8 | YoloX

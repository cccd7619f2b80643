"""Model packages: a folder or zip with the network and its card.

``model.onnx`` is the network, ``model.json`` the card: what the network takes in and gives out. The card
says everything that the code must know of a model, so that another model needs no other code.
"""

from __future__ import annotations

import hashlib
import math
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sensor_sim.decoders import LAYOUTS, Decoder
from sensor_sim.decoders.found import Outputs
from sensor_sim.detection import Detection
from sensor_sim.documents import LARGEST_MODEL, MAX_BYTES, parse, read_file
from sensor_sim.errors import SensorError

CARD, WEIGHTS = "model.json", "model.onnx"
# Bytes that are read of each at most.
MOST = {CARD: MAX_BYTES, WEIGHTS: LARGEST_MODEL}
CHECK_PATH = "check the path and its rights"
# What systems add to a zip by themselves, and a way out of a folder: no packages are there.
NO_FOLDERS = {"__MACOSX", "..", "."}

# What the chip's image signal processor can give to its network.
MOST_WIDTH, MOST_HEIGHT = 1280, 960

Side = Annotated[int, Meta(ge=1, le=4096)]
Mean = Annotated[float, Meta(ge=-1000, le=1000)]
Std = Annotated[float, Meta(ge=0.001, le=100_000)]
Label = Annotated[str, Meta(min_length=1, max_length=80)]


class Input(Struct, forbid_unknown_fields=True, frozen=True):
    """The tensor that the network takes in.

    A picture is scaled to ``width`` x ``height``: ``stretch`` fills the tensor, ``letterbox`` keeps the
    aspect ratio and pads with the grey value ``pad``. Then each channel, in the order of ``colour``, is
    reduced by ``mean`` and divided by ``std`` (both for values 0 to 255). A quantised network that takes
    the values as they are has the ``dtype`` uint8 and neither mean nor std.
    """

    width: Side
    height: Side
    colour: Literal["BGR", "RGB"]
    aspect: Literal["stretch", "letterbox"]
    mean: tuple[Mean, Mean, Mean] = (0.0, 0.0, 0.0)
    std: tuple[Std, Std, Std] = (1.0, 1.0, 1.0)
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: Literal["float", "uint8"] = "float"
    pad: Annotated[int, Meta(ge=0, le=255)] = 114

    def __post_init__(self) -> None:
        if self.width > MOST_WIDTH or self.height > MOST_HEIGHT:
            raise ValueError(
                f"the chip takes tensors of at most {MOST_WIDTH}x{MOST_HEIGHT}, not {self.width}x{self.height}; "
                "choose a network with a smaller input"
            )
        if self.dtype == "uint8" and (self.mean, self.std) != ((0.0,) * 3, (1.0,) * 3):
            raise ValueError("a tensor of uint8 takes the values as they are; leave out mean and std")


class Card(Struct, forbid_unknown_fields=True, frozen=True):
    """The content of ``model.json``. Label number i names the network's class i; ``measured`` is how well
    the model does, as whoever made it measured it.
    """

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    licence: Annotated[str, Meta(min_length=1, max_length=80)]
    input: Input
    decoder: Decoder
    labels: Annotated[list[Label], Meta(min_length=1, max_length=10_000)]
    source: str = ""
    measured: dict[str, float] = {}

    def detections(self, outputs: Outputs, labels: Collection[str], least_score: float) -> list[Detection]:
        """The objects with these labels and at least this score in the outputs of one inference.

        Boxes are in fractions of the input tensor. What is nowhere (NaN, infinity) is left out.
        """
        wanted = {number for number, label in enumerate(self.labels) if label in labels}
        found = self.decoder.decode(outputs, wanted, least_score, (self.input.width, self.input.height))
        return [
            Detection(self.labels[label], score, box)
            for label, score, box in found
            if all(map(math.isfinite, box))
        ]


@dataclass(frozen=True)
class Package:
    card: Card
    weights: bytes
    digest: str  # 16 hexadecimal digits over both files: names the model in every batch


def load_package(path: Path, weights: Path | None = None) -> Package:
    """Read a package; ``weights`` stands in for its ``model.onnx``. Raises :class:`SensorError`."""
    try:
        files = _unzip(path) if path.is_file() else _read_folder(path)
    except OSError as error:
        raise SensorError(f"{path}: cannot be read: {error.strerror}; {CHECK_PATH}") from None
    if weights:
        files[WEIGHTS] = read_file(weights, MOST[WEIGHTS], CHECK_PATH, "give a smaller model")
    if CARD not in files:
        raise SensorError(f"{path}: the model package has no {CARD}; write the model's card")
    if WEIGHTS not in files:
        raise SensorError(
            f"{path}: the model package has no {WEIGHTS}; add it or name the file with --weights"
        )
    digest = hashlib.sha256(hashlib.sha256(files[CARD]).digest() + hashlib.sha256(files[WEIGHTS]).digest())
    return Package(read_card(files[CARD], path), files[WEIGHTS], digest.hexdigest()[:16])


def read_card(text: bytes, path: Path) -> Card:
    try:
        return parse(text, Card, f"{path}: {CARD}")
    except SensorError as error:
        if "decoder.layout: Invalid value" in str(error):
            raise SensorError(f"{error}; choose one of {', '.join(LAYOUTS)}") from None
        raise


def _read_folder(path: Path) -> dict[str, bytes]:
    if not path.is_dir():
        raise SensorError(f"{path}: no model package there; give a folder or a zip with {CARD} and {WEIGHTS}")
    return {
        name: read_file(path / name, MOST[name], CHECK_PATH, "give a smaller one")
        for name in MOST
        if (path / name).is_file()
    }


def _unzip(path: Path) -> dict[str, bytes]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            begins = file.read(2) == b"PK"
        raise SensorError(
            f"{path}: the zip is cut off; copy or build it again"
            if begins
            else f"{path}: this is no zip; give a folder or a zip with {CARD} and {WEIGHTS}"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(member) for name, member in _members(archive, path).items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise SensorError(f"{path}: the zip is damaged: {error}; build the package again") from None


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The package's files, at the top of the zip or in the one folder that was zipped."""
    found: dict[str, zipfile.ZipInfo] = {}
    folders = set()
    for member in archive.infolist():
        folder, _, name = member.filename.rpartition("/")
        if name not in MOST or "/" in folder or folder in NO_FOLDERS:
            continue
        if name in found:
            raise SensorError(f"{path}: the zip has {name} twice; put one model into a package")
        if member.file_size > MOST[name]:
            raise SensorError(
                f"{path}: {name} is larger than {MOST[name] // 2**20} MiB; give a smaller model"
            )
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise SensorError(f"{path}: {name} is packed in an unusual way; zip it with deflate")
        found[name] = member
        folders.add(folder)
    if len(folders) > 1:
        raise SensorError(f"{path}: the zip has its files in different folders; put them side by side")
    return found

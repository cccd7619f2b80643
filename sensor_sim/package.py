"""Model packages: a folder or zip with the network and its card.

``model.onnx`` is the network, ``model.json`` the card: what the network takes in and gives out. The card
says everything that the code must know of a model, so that another model needs no other code.
"""

from __future__ import annotations

import hashlib
import lzma
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from sensor_sim.decoders import Decoder
from sensor_sim.errors import SensorError

CARD, WEIGHTS = "model.json", "model.onnx"
# What fits the chip has at most 8 Mi weights, which take up to 8 bytes each in a file.
LARGEST = {CARD: 2**20, WEIGHTS: 64 * 2**20}

UNPACKING_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError),
    *(RuntimeError, ValueError, NotImplementedError),
)

Side = Annotated[int, Meta(ge=1, le=4096)]
Triple = tuple[float, float, float]
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
    mean: Triple = (0.0, 0.0, 0.0)
    std: tuple[Annotated[float, Meta(gt=0)], Annotated[float, Meta(gt=0)], Annotated[float, Meta(gt=0)]] = (
        1.0,
        1.0,
        1.0,
    )
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: Literal["float", "uint8"] = "float"
    pad: Annotated[int, Meta(ge=0, le=255)] = 114

    def __post_init__(self) -> None:
        if self.dtype == "uint8" and (self.mean, self.std) != ((0.0,) * 3, (1.0,) * 3):
            raise ValueError("a tensor of uint8 takes the values as they are; leave out mean and std")


class Card(Struct, forbid_unknown_fields=True, frozen=True):
    """The content of ``model.json``. Label number i names the network's class i."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    licence: Annotated[str, Meta(min_length=1, max_length=80)]
    input: Input
    decoder: Decoder
    labels: Annotated[list[Label], Meta(min_length=1, max_length=10_000)]
    source: str = ""


@dataclass(frozen=True)
class Package:
    card: Card
    weights: bytes
    digest: str  # 16 hexadecimal digits over both files: names the model in every batch


def load_package(path: Path, weights: Path | None = None) -> Package:
    """Read a package; ``weights`` stands in for its ``model.onnx``. Raises :class:`SensorError`."""
    if path.is_dir():
        files = {name: _read(path / name, name) for name in LARGEST if (path / name).is_file()}
    elif zipfile.is_zipfile(path):
        files = _unzip(path)
    else:
        raise SensorError(f"{path}: no model package there; give a folder or a zip with {CARD} and {WEIGHTS}")
    if weights:
        files[WEIGHTS] = _read(weights, WEIGHTS)
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
        return msgspec.json.decode(text, type=Card)
    except msgspec.ValidationError as error:
        reason, _, field = str(error).partition(" - at `$.")
        where = f"{field.rstrip('`')}: " if field else ""
        raise SensorError(f"{path}: {CARD}: {where}{reason}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SensorError(f"{path}: {CARD} is not readable as JSON: {error}") from None


def _read(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            return _read_bounded(file, path, name)
    except OSError as error:
        raise SensorError(
            f"{path}: cannot be read: {error.strerror}; check the path and its rights"
        ) from None


def _read_bounded(file: IO[bytes], path: Path, name: str) -> bytes:
    """All of a file, packed or not; a size that a zip states is not believed."""
    content = file.read(LARGEST[name] + 1)
    if len(content) > LARGEST[name]:
        raise SensorError(
            f"{path}: {name} is larger than {LARGEST[name] // 2**20} MiB, more than the chip could hold; "
            "take a smaller network"
        )
    return content


def _unzip(path: Path) -> dict[str, bytes]:
    files = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in LARGEST.keys() & set(archive.namelist()):
                with archive.open(name) as file:
                    files[name] = _read_bounded(file, path, name)
    except UNPACKING_ERRORS as error:
        raise SensorError(f"{path}: the zip is damaged: {error}; build the package again") from None
    return files

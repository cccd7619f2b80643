"""Model packages: a folder or zip with the network and its card.

``model.onnx`` is the network, ``model.json`` the card: what the network takes in and gives out. The card
says everything that the code must know of a model, so that another model needs no other code.
"""

from __future__ import annotations

import hashlib
import math
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sensor_sim.decoders import LAYOUTS, Decoder
from sensor_sim.decoders.found import SURE, Outputs
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
# So many odd results in a row are the network's way: a chip may give some when it starts.
MOST_MISFITS = 5
# In lists of labels, such as the Raspberry Pi's of COCO, that of each class that stands for nothing.
UNUSED = "-"


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
    """The content of ``model.json``. Label number i names the network's class i, and no other but ``-`` names two;
    ``measured`` is how well the model does, as whoever made it measured it.
    """

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    licence: Annotated[str, Meta(min_length=1, max_length=80)]
    input: Input
    decoder: Decoder
    labels: Annotated[list[Label], Meta(min_length=1, max_length=10_000)]
    source: str = ""
    measured: dict[str, float] = {}

    def __post_init__(self) -> None:
        firsts: dict[str, int] = {}
        for number, label in enumerate(self.labels):
            first = firsts.setdefault(label, number)
            if first != number and label != UNUSED:
                raise ValueError(
                    f"labels[{number}]: {label!r} is labels[{first}] already; give each class a label of its own, or "
                    f"{UNUSED!r} if it stands for nothing"
                )

    def check(self, outputs: Outputs) -> None:
        """Raises :class:`SensorError` saying which field does not fit the shapes of an inference's outputs."""
        self.decoder.check(outputs, len(self.labels), (self.input.width, self.input.height))

    def check_values(self, outputs: Outputs) -> None:
        """The same of their values."""
        self.decoder.check_values(outputs, len(self.labels), (self.input.width, self.input.height))

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


class Reading:
    """One network's outputs → detections, as :meth:`Card.detections`. Until something is surely found they are compared
    with the card, as an empty picture does not tell what does not fit. Raises :class:`SensorError` for the first shapes
    and for the values of :data:`MOST_MISFITS` in a row; of those before nothing is believed.
    """

    def __init__(self, card: Card) -> None:
        self._card, self._fits, self._misfits = card, False, 0
        self._seen = False

    def detections(self, outputs: Outputs, labels: Collection[str], least_score: float) -> list[Detection]:
        if not self._seen:
            self._card.check(outputs)
            self._seen = True
        if not self._fits and self._is_misfit(outputs):
            return []
        found = self._card.detections(outputs, labels, least_score)
        self._fits = self._fits or any(one.score >= SURE for one in found)
        return found

    def _is_misfit(self, outputs: Outputs) -> bool:
        try:
            self._card.check_values(outputs)
        except SensorError:
            self._misfits += 1
            if self._misfits >= MOST_MISFITS:
                raise
            return True
        self._misfits = 0
        return False


@dataclass(frozen=True)
class Package:
    """Messages call it ``name``, and its network ``elsewhere`` where that is another file."""

    card: Card
    weights: bytes
    digest: str  # 16 hexadecimal digits over both files: names the model in every batch
    name: str = field(compare=False)
    elsewhere: Path | None = field(default=None, compare=False)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Within, a sentence about the network or its card begins with the path or address that the user gave."""
        try:
            yield
        except SensorError as error:
            sentence = str(error)
            if self.elsewhere and sentence.startswith(f"{WEIGHTS}: "):
                raise SensorError(f"{self.elsewhere}{sentence.removeprefix(WEIGHTS)}") from None
            raise SensorError(f"{self.name}: {sentence}") from None


def load_package(path: Path, weights: Path | None = None, name: str = "") -> Package:
    """Read a package; ``weights`` stands in for its ``model.onnx``, and messages call it ``name`` where that is not
    its path. Raises :class:`SensorError`.
    """
    name = name or str(path)
    try:
        files = _unzip(path, name) if path.is_file() else _read_folder(path)
    except OSError as error:
        raise SensorError(f"{path}: cannot be read: {error.strerror}; {CHECK_PATH}") from None
    if weights:
        files[WEIGHTS] = read_file(weights, MOST[WEIGHTS], CHECK_PATH, "give a smaller model")
    if CARD not in files:
        raise SensorError(f"{name}: the model package has no {CARD}; write the model's card")
    if WEIGHTS not in files:
        raise SensorError(
            f"{name}: the model package has no {WEIGHTS}; add it or name the file with --weights"
        )
    digest = hashlib.sha256(hashlib.sha256(files[CARD]).digest() + hashlib.sha256(files[WEIGHTS]).digest())
    return Package(read_card(files[CARD], name), files[WEIGHTS], digest.hexdigest()[:16], name, weights)


def read_card(text: bytes, name: str) -> Card:
    """The card of the package that messages call ``name``; raises :class:`SensorError`."""
    try:
        return parse(text, Card, f"{name}: {CARD}")
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


def _unzip(path: Path, name: str) -> dict[str, bytes]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            begins = file.read(2) == b"PK"
        raise SensorError(
            f"{name}: the zip is cut off; copy or build it again"
            if begins
            else f"{name}: this is no zip; give a folder or a zip with {CARD} and {WEIGHTS}"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            return {file: archive.read(member) for file, member in _members(archive, name).items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise SensorError(f"{name}: the zip is damaged: {error}; build the package again") from None


def _members(archive: zipfile.ZipFile, name: str) -> dict[str, zipfile.ZipInfo]:
    """The package's files, at the top of the zip or in the one folder that was zipped."""
    found: dict[str, zipfile.ZipInfo] = {}
    folders = set()
    for member in archive.infolist():
        folder, _, file = member.filename.rpartition("/")
        if file not in MOST or "/" in folder or folder in NO_FOLDERS:
            continue
        if file in found:
            raise SensorError(f"{name}: the zip has {file} twice; put one model into a package")
        if member.file_size > MOST[file]:
            raise SensorError(
                f"{name}: {file} is larger than {MOST[file] // 2**20} MiB; give a smaller model"
            )
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise SensorError(f"{name}: {file} is packed in an unusual way; zip it with deflate")
        found[file] = member
        folders.add(folder)
    if len(folders) > 1:
        raise SensorError(f"{name}: the zip has its files in different folders; put them side by side")
    return found

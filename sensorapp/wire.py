"""The contract: every message that a sensor and the backend exchange.

Both sides import this module and nothing else of each other. It knows neither Django nor pixels: every
field is a number, a word from a closed list, or an identifier of a fixed shape, so that nothing which
could hold a picture can be encoded. Names in a scene are the one exception; they travel from the
operator to the sensor, never back.

Times are UTC milliseconds since 1970 as read from the sensor's own clock. Points are fractions of the
picture's width and height, origin top left, y growing downwards.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

MAX_EVENTS_PER_BATCH = 10_000
MAX_BATCHES_PER_REQUEST = 5_000
MAX_BODY_BYTES = 16 * 1024 * 1024

JSON = "application/json"
MSGPACK = "application/msgpack"

# 1 January 2000 to 1 January 2100: a time outside this range is a broken clock, not an event.
Milliseconds = Annotated[int, Meta(ge=946_684_800_000, lt=4_102_444_800_000)]
SequenceNumber = Annotated[int, Meta(ge=0, lt=2**53)]
Epoch = Annotated[int, Meta(ge=1, lt=2**53)]
ChannelNumber = Annotated[int, Meta(ge=0, lt=10_000)]
SensorId = Annotated[str, Meta(pattern="^s-[0-9a-z]{4,24}$")]
PackageDigest = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
ConfigVersion = Annotated[int, Meta(ge=0, lt=2**31)]
Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
Name = Annotated[str, Meta(min_length=1, max_length=80)]

Direction = Literal["forward", "backward"]
DeploymentState = Literal[
    "request_received",
    "downloading",
    "installing",
    "done",
    "failed",
    "failed_invalid_argument",
    "failed_token_expired",
    "failed_download_retry_exceeded",
]


class Message(Struct, forbid_unknown_fields=True):
    """A message that refuses fields it does not know."""


# --- what a sensor reports -------------------------------------------------------------------------


class Reported(Message, tag_field="type", gc=False):
    """An event: numbers and words only, so that the garbage collector need not look at each of them."""


class Crossing(Reported, tag="crossing"):
    """Somebody crossed a line.

    ``forward`` means: standing on the line's first point and facing its second, from the left hand to
    the right hand, as seen in the picture.
    """

    at: Milliseconds
    line: ChannelNumber
    direction: Direction


class Visit(Reported, tag="visit"):
    """Somebody left a zone after staying ``dwell_ms`` milliseconds; ``at`` is the moment of leaving."""

    at: Milliseconds
    zone: ChannelNumber
    dwell_ms: Annotated[int, Meta(ge=0, le=86_400_000)]


class Occupancy(Reported, tag="occupancy"):
    """From now on ``count`` people are in the zone."""

    at: Milliseconds
    zone: ChannelNumber
    count: Annotated[int, Meta(ge=0, le=10_000)]


class Shelf(Reported, tag="shelf"):
    """From ``at`` on ``units`` items stand in the slot; it may be told some time later.

    ``confidence`` is the share of them that was seen, and not only remembered, just before; where there are none,
    the share of those that stand around.
    """

    at: Milliseconds
    slot: ChannelNumber
    units: Annotated[int, Meta(ge=0, le=10_000)]
    confidence: Fraction


class Heartbeat(Reported, tag="heartbeat"):
    """The sensor observed its scene for ``observed_ms`` of the time just before ``at``.

    ``dnn_us`` is the network's mean running time per inference in microseconds.
    """

    at: Milliseconds
    observed_ms: Annotated[int, Meta(ge=0, le=3_600_000)]
    frames: Annotated[int, Meta(ge=0, lt=2**31)]
    inferences: Annotated[int, Meta(ge=0, lt=2**31)]
    temperature_c: Annotated[float, Meta(ge=-100.0, le=200.0)]
    dnn_us: Annotated[int, Meta(ge=0, lt=2**31)]


class Deployment(Reported, tag="deployment"):
    """A step of installing a model package."""

    at: Milliseconds
    rollout: Annotated[int, Meta(ge=0, lt=2**31)]
    state: DeploymentState


Event = Crossing | Visit | Occupancy | Shelf | Heartbeat | Deployment


class Columns(Message, gc=False):
    """Events as columns of little-endian integers, in a third of the bytes that they take one by one.

    :mod:`sensorapp.columns` says what stands where, and holds every number against the bounds of its field.
    ``kind`` has a byte for each event, ``at`` eight, ``channel`` and ``value`` four, ``extra`` four for each
    number that only some kinds have. In JSON they are base64.
    """

    kind: Annotated[bytes, Meta(min_length=1, max_length=MAX_EVENTS_PER_BATCH)]
    at: Annotated[bytes, Meta(max_length=8 * MAX_EVENTS_PER_BATCH)]
    channel: Annotated[bytes, Meta(max_length=4 * MAX_EVENTS_PER_BATCH)]
    value: Annotated[bytes, Meta(max_length=4 * MAX_EVENTS_PER_BATCH)]
    extra: Annotated[bytes, Meta(max_length=16 * MAX_EVENTS_PER_BATCH)] = b""


class Batch(Message, omit_defaults=True):
    """Consecutive events of one sensor: the first has the sequence number ``first_seq``, each next one more.

    They are given one by one in ``events``, or all together in ``columns``. ``sent_at`` is the sensor's clock when it
    sends the batch, by which its error is measured. Whoever sends what another has measured leaves it out.
    """

    sensor: SensorId
    epoch: Epoch
    first_seq: SequenceNumber
    model: PackageDigest
    config: ConfigVersion
    events: Annotated[list[Event], Meta(min_length=1, max_length=MAX_EVENTS_PER_BATCH)] = []
    sent_at: Milliseconds | None = None
    columns: Columns | None = None

    def __post_init__(self) -> None:
        if bool(self.events) == bool(self.columns):
            raise ValueError("events: give them one by one, or else in columns")

    @property
    def count(self) -> int:
        return len(self.columns.kind) if self.columns else len(self.events)

    @property
    def last_seq(self) -> int:
        return self.first_seq + self.count - 1


class Upload(Message):
    """The body of ``POST /ingest/v1/batches``."""

    batches: Annotated[list[Batch], Meta(min_length=1, max_length=MAX_BATCHES_PER_REQUEST)]


# --- what the backend answers ----------------------------------------------------------------------

AckStatus = Literal["stored", "duplicate", "stale_epoch", "gap", "invalid", "later"]


class Ack(Message, omit_defaults=True):
    """The answer to one batch, in the order of the upload.

    ``acked_seq`` is the last sequence number of ``epoch`` that is settled; the sensor may forget
    everything up to it. -1 means none yet. For ``stale_epoch``, ``epoch`` is the one that the backend
    knows; else it is the batch's own. ``path`` and ``reason`` say what made a batch ``invalid``. A
    ``stored``, ``duplicate`` or ``invalid`` that settles a part of the batch is about that part only: the rest
    is to be sent again, and has an answer of its own. So a batch is ``stored`` up to its first event older than
    is kept, and those that are too old are ``invalid`` when they come again. ``later`` means that the sensor sends too fast for now, while
    its neighbours in the upload do not: nothing was looked at, and the same batch is to be sent again.
    """

    sensor: str
    epoch: Annotated[int, Meta(ge=0, lt=2**53)]
    acked_seq: Annotated[int, Meta(ge=-1, lt=2**53)]
    status: AckStatus
    path: str = ""
    reason: str = ""


class Desired(Message, omit_defaults=True):
    """What a sensor should be running and is not."""

    config: int | None = None


class Answer(Message, omit_defaults=True):
    """The body of a 200 answer to an upload. ``desired`` is keyed by sensor and names only those behind."""

    acks: list[Ack]
    desired: dict[str, Desired] = {}


class Problem(Message, omit_defaults=True):
    """The body of every other answer: what is wrong and what to do about it."""

    title: str
    detail: str = ""


# --- what the backend says on a stream -------------------------------------------------------------
#
# A stream is a WebSocket at ``/ingest/v1/stream``. Each message of the sensor is an :class:`Upload`, JSON
# in a text frame or MessagePack in a binary one; the answer comes in the same form and in the same order.


class Answered(Answer, tag="answer", tag_field="type"):
    """The answer to the oldest upload that has none yet."""


Wait = Annotated[float, Meta(ge=0, le=86_400)]  # seconds


class Window(Message, tag="window", tag_field="type", omit_defaults=True):
    """How many batches may be without an answer at once: the first message, and sent again when it changes.

    An upload may begin while fewer are; beyond that the backend reads nothing. Where ``retry_after``
    (seconds) is given, it takes nothing before that time: the upload that it has is not lost, only later.
    """

    batches: int
    retry_after: Wait = 0.0


class Refusal(Message, tag="refusal", tag_field="type", omit_defaults=True):
    """The last message before the backend closes the stream, with the close code 4000 + ``status``.

    ``status`` has its meaning in HTTP. What has no answer is sent again on the next stream, for the
    statuses 429 and 503 not before ``retry_after`` seconds.

    A message of more than :data:`MAX_BODY_BYTES` is not read, and so has no refusal: its close code is 1009
    (RFC 6455, 7.4.1), and the same message would meet it again.
    """

    status: int
    title: str
    detail: str = ""
    retry_after: Wait = 0.0


StreamMessage = Answered | Window | Refusal


# --- what a sensor is told to look at --------------------------------------------------------------

MAX_CHANNELS = 1_000  # lines, zones or slots of one scene
SHORTEST_LINE = 0.01
SMALLEST_AREA = 1e-6
LEAST_BELOW = 0.05  # of the floor, metres of the camera's height for each along its line of sight: else it is too far away

Point = tuple[Fraction, Fraction]
Polygon = Annotated[list[Point], Meta(min_length=3, max_length=64)]


class Detect(Message):
    """Which of the model's labels count, and from which score on."""

    labels: Annotated[list[Name], Meta(min_length=1)] = msgspec.field(default_factory=lambda: ["person"])
    score: Fraction = 0.35


class Camera(Message):
    """How the camera is mounted, which looks down at people and is not turned to a side: by how many degrees it looks
    below the horizontal, and its vertical angle of view, that of the whole pixel array, whose shape is 4:3.

    At the sides of such a picture people are seen leaning outwards; with this they are known to stand farther in. With
    the camera's height above the floor, too, distances are known in metres, and people are counted more exactly.
    """

    tilt_degrees: Annotated[float, Meta(ge=5, le=85)]
    view_degrees: Annotated[float, Meta(ge=10, le=120)]
    height_metres: Annotated[float, Meta(ge=1, le=20)] | UnsetType = UNSET


class Line(Message):
    id: ChannelNumber
    name: Name
    points: tuple[Point, Point]


class Zone(Message):
    id: ChannelNumber
    name: Name
    polygon: Polygon


class Slot(Message, omit_defaults=True):
    """A place on a shelf; ``item`` is the label that is counted there.

    ``facings`` says how many stand side by side and ``deep`` how many one behind another. Then the polygon
    reaches from the feet of the front row to the heads of the back row, and the slot is filled from the back
    and emptied from the front: an item in front tells of those behind it. Without them, all that is seen counts.
    """

    id: ChannelNumber
    name: Name
    item: Name
    polygon: Polygon
    facings: Annotated[int, Meta(ge=1, le=100)] | None = None
    deep: Annotated[int, Meta(ge=1, le=100)] = 1


class Scene(Message):
    """What a sensor measures: its scene configuration.

    Lines and polygons that cannot be meant are refused: too short or too small, with corners given twice or
    edges that cross. Zones and slots may overlap: each is right for itself.
    """

    version: ConfigVersion
    upload_interval_ms: Annotated[int, Meta(ge=100, le=3_600_000)] = 1_000
    privacy: Literal["counts", "zones"] = "zones"
    detect: Detect = msgspec.field(default_factory=Detect)
    lines: Annotated[list[Line], Meta(max_length=MAX_CHANNELS)] = []
    zones: Annotated[list[Zone], Meta(max_length=MAX_CHANNELS)] = []
    slots: Annotated[list[Slot], Meta(max_length=MAX_CHANNELS)] = []
    camera: Camera | UnsetType = UNSET

    def __post_init__(self) -> None:
        for kind, channels in (("lines", self.lines), ("zones", self.zones), ("slots", self.slots)):
            numbers = [channel.id for channel in channels]
            if len(numbers) != len(set(numbers)):
                raise ValueError(f"{kind}: two of them share an id; give each its own")
        if self.privacy == "counts" and self.zones:
            raise ValueError(
                'zones: privacy "counts" allows lines and slots only; remove them or choose "zones"'
            )
        if self.camera and self.camera.tilt_degrees + self.camera.view_degrees / 2 >= 90:
            raise ValueError(
                "camera: tilt_degrees and half of view_degrees add up to 90 or more, so it sees the floor straight "
                "below it, where people lean to all sides; correct them, or remove camera"
            )
        for i, line in enumerate(self.lines):
            _check_line(f"lines[{i}].points", line.points)
            if self.camera and self.camera.height_metres is not UNSET:
                _check_on_floor(f"lines[{i}].points", line.points, self.camera)
        for i, zone in enumerate(self.zones):
            _check_polygon(f"zones[{i}].polygon", zone.polygon)
        for i, slot in enumerate(self.slots):
            _check_polygon(f"slots[{i}].polygon", slot.polygon)
            if slot.deep > 1 and slot.facings is None:
                raise ValueError(f"slots[{i}].deep: it counts within facings; say how many facings there are")


# --- what can be meant by points ---------------------------------------------------------------------


def _check_line(field: str, points: tuple[Point, Point]) -> None:
    (x0, y0), (x1, y1) = points
    if points[0] == points[1]:
        raise ValueError(f"{field}: both are the same; give two different points")
    if max(abs(x1 - x0), abs(y1 - y0)) < SHORTEST_LINE:
        raise ValueError(
            f"{field}: they are too near each other; let them be {SHORTEST_LINE} of the picture apart"
        )


def _check_on_floor(field: str, points: tuple[Point, Point], camera: Camera) -> None:
    tilt, half_view = math.radians(camera.tilt_degrees), math.radians(camera.view_degrees / 2)
    highest = 0.5 - (math.tan(tilt) - LEAST_BELOW / math.cos(tilt)) / math.tan(half_view) / 2
    if min(y for _, y in points) < highest:
        raise ValueError(
            f"{field}: above {highest:.2f} a camera that is mounted so sees no floor, or only far away; draw the line "
            "on the floor before it, or correct camera"
        )


def _check_polygon(field: str, polygon: list[Point]) -> None:
    for i, point in enumerate(polygon):
        first = polygon.index(point)
        if first != i:
            raise ValueError(f"{field}: its points {first} and {i} are the same; give each corner once")
    crossing = _crossing_edges(polygon)
    if crossing and len(polygon) > 3:  # those of a triangle only meet when it encloses nothing
        raise ValueError(
            f"{field}: its edges {crossing[0]} and {crossing[1]} cross; list the corners in order around it"
        )
    if _area(polygon) < SMALLEST_AREA:
        raise ValueError(f"{field}: it encloses nothing; give at least three points not in line")


def _area(polygon: list[Point]) -> float:
    """Enclosed area in fractions of the picture's (shoelace formula)."""
    pairs = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)) / 2


def _crossing_edges(polygon: list[Point]) -> tuple[int, int] | None:
    """Two edges that cross, touch, or lie on each other; edge i goes from point i to the next one."""
    edges = list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))
    for i, first in enumerate(edges):
        for j, second in enumerate(edges[i + 1 :], i + 1):
            if _cross(*first, *second):
                return i, j
    return None


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the edges ab and cd do; neighbours meet at a corner, and must not turn back there."""
    if b == c:
        return _turns_back(a, b, d)
    if d == a:
        return _turns_back(c, d, b)
    return _meet(a, b, c, d)


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the segments ab and cd have a point in common: neither lies on one side of the other."""
    near = all(max(a[k], b[k]) >= min(c[k], d[k]) and max(c[k], d[k]) >= min(a[k], b[k]) for k in (0, 1))
    return near and not _one_side(a, b, c, d) and not _one_side(c, d, a, b)


def _one_side(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether c and d lie clear of the line through a and b, on the same side of it."""
    to_c, to_d = _turn(a, b, c), _turn(a, b, d)
    return (to_c > 0 and to_d > 0) or (to_c < 0 and to_d < 0)


def _turn(a: Point, b: Point, c: Point) -> float:
    """Positive if the way from a over b to c turns clockwise in the picture, 0 if it goes straight or back."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _turns_back(a: Point, b: Point, c: Point) -> bool:
    ahead = (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1])
    return _turn(a, b, c) == 0 and ahead < 0


# --- encoding --------------------------------------------------------------------------------------

T = TypeVar("T")


class WireError(ValueError):
    """A message that does not keep the contract. ``path`` leads to the field, as in ``$.batches[0].epoch``."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)  # all of them, so that it can be sent from one process to another
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def encode(message: Message, media_type: str = JSON) -> bytes:
    return msgspec.msgpack.encode(message) if media_type == MSGPACK else msgspec.json.encode(message)


def decode(body: bytes, kind: type[T], media_type: str = JSON) -> T:
    """Read one message; raises :class:`WireError` naming the field and what it must be."""
    try:
        if media_type == MSGPACK:
            return msgspec.msgpack.decode(body, type=kind)
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise wire_error(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError("$", f"not readable as {media_type}: {error}") from None


def convert(value: Any, kind: type[T]) -> T:
    """Like :func:`decode`, from plain dicts and lists."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise wire_error(error) from None


def wire_error(error: msgspec.ValidationError) -> WireError:
    reason, found, path = str(error).rpartition(" - at `")
    return WireError(path.rstrip("`"), reason) if found else WireError("$", str(error))

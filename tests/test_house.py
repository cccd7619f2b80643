"""The house's own rules: who may import whom, where pixels may be, and who writes buckets."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from sensorapp import wire

ROOT: Final = Path(__file__).resolve().parent.parent

# From the front door to the roof: a room imports only from itself and from rooms before it.
ROOMS: Final = [
    "analytics",  # the package itself, which only holds rooms
    "sensorapp.wire",
    "sensorapp.columns",
    "sensor_sim",
    "sensorapp.stack.paths",
    "sensorapp.env",
    "sensorapp.durations",
    "sensorapp.outage",
    "sensorapp.arguments",
    "sensorapp.accounts",
    "sensorapp.fleet",
    "analytics.metrics",
    "analytics.ingest",
    "analytics.counts",
    "analytics.audit",
    "analytics.export",
    "dashboard",
    # What ties the rooms together may know all of them.
    "sensorapp",
]
# What sensors and the backend both know.
CONTRACT: Final = ("sensorapp.wire", "sensorapp.columns")
STANDARD: Final = {"__future__", "collections", "dataclasses", "itertools", "math", "typing"}
PROJECT: Final = ("sensorapp", "sensor_sim", "analytics", "dashboard")


def modules() -> dict[str, ast.Module]:
    found = {}
    for package in PROJECT:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text(), str(path))
    return found


MODULES: Final = modules()


def imports(module: str) -> Iterator[str]:
    """Full names of everything that a module imports, wherever in it, but for names of types only."""
    types_only = {
        child
        for node in ast.walk(MODULES[module])
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(MODULES[module]):
        if node in types_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively; name the room in full"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def room_of(name: str) -> str:
    return max((room for room in ROOMS if within(name, room)), key=len)


def test_there_are_modules_to_look_at() -> None:
    assert {"sensorapp.wire", "sensor_sim.watch", "analytics.ingest.commit", "dashboard.views"} <= set(
        MODULES
    )


@pytest.mark.parametrize("module", sorted(MODULES))
def test_rooms_import_in_one_direction(module: str) -> None:
    allowed = ROOMS[: ROOMS.index(room_of(module)) + 1]
    own = [name for name in imports(module) if name.split(".")[0] in PROJECT]
    wrong = [name for name in own if room_of(name) not in allowed]
    assert not wrong, f"{module} imports {wrong}, which lies above it"


def test_the_sensor_knows_of_the_backend_nothing_but_the_contract() -> None:
    found = {
        (module, name)
        for module in MODULES
        if within(module, "sensor_sim")
        for name in imports(module)
        if name.split(".")[0] in {"django", "sensorapp", "analytics", "dashboard", "celery", "channels"}
        and name not in {"sensorapp", *CONTRACT}
    }
    assert found == set()


def test_the_contract_knows_neither_django_nor_pixels() -> None:
    imported = {name.split(".")[0] for module in CONTRACT for name in imports(module)}
    assert imported - STANDARD == {"msgspec", "numpy", "sensorapp"}


# Of the decoders, as what a network gives out may be the picture that it took in.
PIXELS: Final = tuple(
    f"sensor_sim.{room}" for room in ("pixels", "isp", "network", "decoders", "chip", "picamera", "sources")
)
# The one that finds the decoders, and sees nothing of what they decode.
FINDER: Final = "sensor_sim.decoders"
# All that the rooms of pixels need of others. None of it sends, starts programs or reads switches; what of it
# could write a file is looked for by name.
HARMLESS: Final = (
    *("__future__", "argparse", "collections", "dataclasses", "datetime", "enum", "functools", "itertools"),
    *("logging", "math", "msgspec", "pathlib", "random", "struct", "threading", "time", "typing"),
    *("cv2", "numpy", "onnxruntime", "picamera2", "sensor_sim"),
)
WAYS_OUT: Final = {
    f"sensor_sim.{room}" for room in ("device", "fleet", "health", "output", "pipeline", "truth", "watch")
}
WRITES_A_PICTURE: Final = re.compile(
    r"im(write|encode|show)\w*|VideoWriter\w*|FileStorage|to(file|bytes|string)|savez\w*|savetxt|memmap|open_memmap"
)
WRITES_ANYTHING: Final = re.compile(
    WRITES_A_PICTURE.pattern
    + r"|open|print|write\w*|save|dumps?|copyfile\w*|touch|mkdir|\w*link_to|rename|environ\w*|getenv|breakpoint"
    r"|exit|quit|exec|eval|compile|__import__|import_module|globals|vars|\w*Handler|basicConfig|addHandler|lastResort"
)
# Frames, what a network makes of them, or what went wrong with it, pass through these too, and what they write is told
# one statement after the other: events and what is true of a rendered scene, progress and sentences.
PASSED: Final[dict[str, set[str]]] = {
    "sensor_sim.package": set(),
    "sensor_sim.trial": set(),
    "sensor_sim.watch": {
        "import sys",
        "from sensor_sim.output import forget_output, print_line",
        "from sensor_sim.truth import writer",
        "print(f'sensor_sim: {error}', file=sys.stderr)",
        "with redirect_stdout(sys.stderr):",
        "progress = Progress(sys.stderr)",
        "source = progress.follow(open_source(arguments, world, stop, writer(arguments.truth)))",
        "print_line(wire.encode(event))",
        "forget_output()",
    },
    "sensor_sim.streams": {
        "print(f'{ERASE}{text}', end='', file=self._output, flush=True)",
    },
    "sensor_sim.truth": {
        "file = path.open('wb', buffering=0)",
        "file.write(wire.encode(as_event(happening)) + b'\\n')",
        "return write",
    },
}
TELLS: Final = re.compile(
    WRITES_ANYTHING.pattern + r"|os|sys|log|logging|warnings|print_line|say|forget_output"
)
# What makes words of a value, or a list to be made words of.
INTO_WORDS: Final = re.compile(
    r"str|repr|ascii|chr|format\w*|__(str|repr|format)__|array2string|array_(str|repr)"
    r"|bytes|bytearray|memoryview|hex|tolist"
)
ERROR: Final = re.compile(r"\w*([Ee]rror|Exception|Exit|Warning)")
# All that sentences and errors may hold where real pixels are, beside constants and lengths.
SAID: Final = {
    "sensor_sim.decoders": {"__name__", "_module.name", "str(layout.__struct_config__.tag)"},
    "sensor_sim.decoders.found": {
        *("NotImplementedError", "classes", "labels", "map(str, output.shape)"),
        *("field", "remedy", "activation", "unit", "other"),
    },
    "sensor_sim.decoders.imx500_pp": {"', '.join(self.outputs)", "shapes(outputs)", "labels", "labels - 1"},
    "sensor_sim.decoders.nanodet": {
        *("', '.join(map(str, self.strides))", "map(str, self.strides)", "2 * len(self.strides)"),
        *("stride", "cells", "self.bins", "4 * self.bins", "shapes(outputs)"),
    },
    "sensor_sim.decoders.ssd": {
        *("' and '.join(self.outputs)", "shapes(outputs)", "defaults", "there"),
        *("columns - 1", "self.background"),
    },
    "sensor_sim.decoders.suppression": {
        *("places.tolist()", "scores.tolist()", "labels.tolist()", "table.shape[1]"),
    },
    "sensor_sim.decoders.yolov8": {"shapes(outputs)"},
    "sensor_sim.decoders.yolox": {
        *("', '.join(map(str, self.strides))", "map(str, self.strides)", "cells", "shapes(outputs)"),
    },
    "sensor_sim.network": {
        *("'x'.join(map(str, shape))", "map(str, shape)", "shape.tolist()", "card.layout", "card.dtype"),
        *("'x'.join(map(str, tensor.shape))", "map(str, tensor.shape)", "tensor.type", "str(tensor.name)"),
        "error",  # on a black picture
    },
    "sensor_sim.package": {
        *("', '.join(LAYOUTS)", "MOST[file] // 2 ** 20", "self.width", "self.height", "first", "number"),
        *("self.elsewhere", "self.name", "name", "path", "str(path)", "file", "label", "error.strerror"),
        *("error", "str(error)", "sentence", "sentence.removeprefix(WEIGHTS)"),
    },
    "sensor_sim.picamera": {
        *("'x'.join(map(str, shape))", "map(str, shape)", "dimensions", "count", "sum(counts)", "flat.size"),
        *("INFO_SIZES[0]", "INFO_SIZES[1]", "bytes(list(info))", "key", "kpi", "value"),
        *("field", "card", "network", "str(network)"),
        "error",  # of the camera that does not start or close
    },
    "sensor_sim.pixels.camera": {"device"},
    "sensor_sim.pixels.folder": {"' '.join(sorted(SUFFIXES))", "path", "error.strerror"},
    "sensor_sim.pixels.video": {
        *("path", "self.path", "str(path)", "error.strerror", "self._expected", "count", "count - shown"),
    },
    "sensor_sim.sources": {
        *("source", "option", "name", "others", "text", "what", "least", "most", "arguments.mode"),
        *("video.path", "video.duration", "Thermometer.LOWEST_C", "Thermometer.RESUME_C"),
    },
    "sensor_sim.streams": {"done", "of", "speed", "text", "took", "total"},
    "sensor_sim.trial": {
        *("MEMORY // 2 ** 20", "fault", "error", "str(error)"),
        "shorten(words, LONGEST, placeholder=' …').rstrip('.')",
    },
    "sensor_sim.truth": {"path", "error.strerror"},
    "sensor_sim.watch": {"error"},
}
# What of a camera may be logged.
LOGGED: Final = {"self.device", "self._retry"}


def only_reads(call: ast.Call) -> bool:
    """It is ``path.open("rb")``, of whatever path."""
    match call:
        case ast.Call(func=ast.Attribute(attr="open"), args=[ast.Constant(value="rb")], keywords=[]):
            return True
    return False


def names(nodes: Collection[ast.AST]) -> Iterator[str]:
    """All that code calls by name: variables, attributes, imports, and strings, which ``getattr`` could take."""
    reading = {node.func for node in nodes if isinstance(node, ast.Call) and only_reads(node)}
    for node in nodes:
        match node:
            case ast.Attribute() if node in reading:
                continue
            case ast.Constant(value="print"):  # of a cloth; who wants to call it has to name it
                continue
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                yield name
            case ast.alias(name=name):
                yield from name.split(".")


def called(tree: ast.AST, pattern: re.Pattern[str]) -> set[str]:
    return {name for name in names([*ast.walk(tree)]) if pattern.fullmatch(name)}


def own(statement: ast.AST) -> Iterator[ast.AST]:
    """What a statement consists of, but for the statements within it."""
    yield statement
    for child in ast.iter_child_nodes(statement):
        if not isinstance(child, ast.stmt):
            yield from own(child)


def telling(tree: ast.AST) -> set[str]:
    """The statements, or their first lines, that could let something out."""
    return {
        ast.unparse(node).splitlines()[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and any(map(TELLS.fullmatch, names([*own(node)])))
    }


def where_pixels_are() -> list[str]:
    return [module for module in MODULES if any(within(module, room) for room in PIXELS)]


def logged(tree: ast.AST) -> Iterator[str]:
    """What goes into log messages beside plain text."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"))):
                message, *values = [*node.args, *(keyword.value for keyword in node.keywords)]
                yield from (ast.unparse(value) for value in values)
                if not isinstance(message, ast.Constant):
                    yield ast.unparse(message)
            case ast.Attribute(value=ast.Name(id="logging"), attr=name) if name != "getLogger":
                yield f"logging.{name}"
            case ast.Assign(
                targets=[ast.Name(id=name)], value=ast.Call(func=ast.Attribute(attr="getLogger"))
            ):
                if name != "log":
                    yield name


def where_real_pixels_are() -> list[str]:
    """Or pass; not those of worlds that do not exist."""
    real = [module for module in where_pixels_are() if not within(module, "sensor_sim.pixels.rendered")]
    return [*real, *PASSED]


def plainly(value: ast.expr) -> Iterator[str]:
    """What of a value is not plain text, a constant or a length."""
    match value:
        case ast.Constant() | ast.Call(func=ast.Name(id="len")):
            pass
        case ast.Name(id=name) if name.isupper():  # constants of the module
            pass
        case ast.JoinedStr(values=parts):
            for part in parts:
                yield from plainly(part)
        case ast.FormattedValue(value=inner):
            yield from plainly(inner)
        case ast.IfExp(body=one, orelse=other):
            yield from plainly(one)
            yield from plainly(other)
        case _:
            yield ast.unparse(value)


def given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def name_of(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def said(tree: ast.AST) -> Iterator[str]:
    """What is put into words or into an error, beside plain text."""
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr():
                yield from plainly(node)
            case ast.Call(func=function, args=words) if any(
                INTO_WORDS.fullmatch(name_of(each)) for each in (function, *words)
            ):
                yield ast.unparse(node)
            case ast.BinOp(left=ast.Constant(value=str() | bytes()), op=ast.Mod()):
                yield ast.unparse(node)
            case ast.Raise(exc=ast.Call() as error):
                yield from (text for value in given(error) for text in plainly(value))
            case ast.Call(func=function) if ERROR.fullmatch(name_of(function)):
                yield from (text for value in given(node) for text in plainly(value))
            case ast.Raise(exc=ast.expr() as value) | ast.Assert(msg=ast.expr() as value):
                yield from plainly(value)
            case ast.Attribute(attr="args" | "add_note"):
                yield ast.unparse(node)


def test_where_pixels_are_there_is_no_way_out() -> None:
    """What can hold a picture knows no message, no connection, no program and no file to write to."""
    found = {
        (module, name)
        for module in where_pixels_are()
        for name in imports(module)
        if name.split(".")[0] not in HARMLESS or any(within(name, way) for way in WAYS_OUT)
    }
    assert found == {(FINDER, name) for name in ("importlib", "operator", "pkgutil")}


def test_where_pixels_are_nothing_is_written() -> None:
    """Neither a file nor the standard output, and no switch is read from the environment."""
    assert {room for room in PIXELS if room in MODULES} == set(PIXELS)
    found = {module: called(MODULES[module], WRITES_ANYTHING) for module in where_pixels_are()}
    assert {module: names for module, names in found.items() if names} == {FINDER: {"import_module"}}


def test_where_frames_pass_only_this_is_written() -> None:
    assert {module: telling(MODULES[module]) for module in PASSED} == PASSED


def test_where_frames_pass_there_is_no_other_way_out() -> None:
    found = {
        name
        for module in PASSED
        for name in imports(module)
        if name.split(".")[0] not in HARMLESS or any(within(name, way) for way in WAYS_OUT)
    }
    assert found == {
        *("sys", "operator", "contextlib", "sensorapp.wire", "sensor_sim.output", "sensor_sim.truth"),
        *("sensor_sim.pipeline", "sensor_sim.device.commands", "sensor_sim.device.slots"),
        *("sensor_sim.device.outbox", "sensor_sim.device.uplink"),
        *("concurrent.futures", "hashlib", "re", "resource", "textwrap", "zipfile", "zlib"),
    }


def test_no_other_module_knows_where_pixels_are() -> None:
    """But for training, and for what looks at a network without any picture."""
    known = {
        module: {name for name in imports(module) if any(within(name, room) for room in PIXELS)}
        for module in MODULES
        if module not in (*PASSED, *where_pixels_are()) and not within(module, "sensor_sim.training")
    }
    assert {module: rooms for module, rooms in known.items() if rooms} == {
        "sensor_sim.deploy": {"sensor_sim.network"},
        "sensor_sim.report": {"sensor_sim.network"},
    }


def test_no_log_tells_of_pixels() -> None:
    assert {what for module in where_pixels_are() for what in logged(MODULES[module])} == LOGGED


def test_no_sentence_tells_of_pixels() -> None:
    found = {module: set(said(MODULES[module])) for module in where_real_pixels_are()}
    assert {module: values for module, values in found.items() if values} == SAID


def test_nothing_writes_a_picture() -> None:
    """No call of OpenCV's or NumPy's writers, and no encoder of pictures, anywhere in the sensor.

    Training is a tool beside it: it keeps the pictures that it has drawn.
    """
    sensor = {module: tree for module, tree in MODULES.items() if within(module, "sensor_sim")}
    found = {module: called(tree, WRITES_A_PICTURE) for module, tree in sensor.items()}
    assert {module: names for module, names in found.items() if names} == {
        "sensor_sim.training.pictures": {"open_memmap"}
    }


def test_training_sees_no_real_picture() -> None:
    """What it keeps are pictures of worlds that do not exist: it knows neither cameras nor files of pictures,
    and nothing that runs in a sensor knows it."""
    training = {module for module in MODULES if within(module, "sensor_sim.training")}
    known = {name for module in training for name in imports(module) if within(name, "sensor_sim")}
    drawn = {"sensor_sim.pixels.rendered", "sensor_sim.pixels.array", "sensor_sim.training"}
    others = {name for name in known if not any(within(name, room) for room in drawn)}
    assert others <= {
        "sensor_sim.decoders.imx500_pp",
        "sensor_sim.detection",
        "sensor_sim.device.durable",
        "sensor_sim.errors",
        "sensor_sim.network",
        "sensor_sim.package",
        "sensor_sim.pixels",  # the type of a picture
    }
    readers = re.compile(r"VideoCapture|im(read|decode)\w*|fromfile|frombuffer")
    assert {name for module in training for name in called(MODULES[module], readers)} == set()
    users = {module for module in MODULES for name in imports(module) if within(name, "sensor_sim.training")}
    assert users <= training


@pytest.mark.parametrize(
    "violation",
    [
        "cv2.imwrite('a.png', raw.values)",
        "from cv2 import imencode",
        "getattr(cv2, 'imwrite')('a.png', image)",
        "np.save('frame', raw.values)",
        "np.savez_compressed('frame', raw=raw.values)",
        "raw.values.tofile('frame')",
        "np.memmap('frame', mode='w+')",
        "cv2.VideoWriter('a.mp4', 0, 30.0, (8, 8))",
        "open('frame', 'wb').write(raw.values)",
        "Path('frame').write_bytes(raw.values)",
        "path.open('wb', buffering=0)",
        "path.open('r+b')",
        "path.open(mode)",
        "open('rb')",
        "pickle.dump(raw, file)",
        "shutil.copyfileobj(a, b)",
        "debug = os.environ.get('DEBUG_FRAMES')",
        "print(image.tolist())",
        "logging.FileHandler('frame').emit(image)",
        "Path(text).touch()",
        "Path(text).mkdir()",
        "exit(image)",
        "__import__('pick' + 'le')",
        "eval('raw')",
    ],
)
def test_a_violation_would_be_found(violation: str) -> None:
    assert called(ast.parse(violation), WRITES_ANYTHING)


@pytest.mark.parametrize("module", PASSED)
@pytest.mark.parametrize(
    "violation",
    [
        "path.open('wb').write(frame.image)",
        "pickle.dump(frame, file)",
        "with path.open('wb') as file:\n    pass",
        "for frame in dump(source):\n    pass",
        "np.save('frame', frame.image)",
        "cv2.imwrite('frame.png', frame.image)",
        "sys.stdout.buffer.write(frame.image)",
        "os.pwrite(2, frame.image, 0)",
        "print(frame)",
        "log.warning('%s', frame)",
        "if os.environ.get('DEBUG_FRAMES'):\n    keep(frame)",
    ],
)
def test_a_violation_where_frames_pass_would_be_found(module: str, violation: str) -> None:
    known = ast.unparse(MODULES[module])
    assert telling(ast.parse(known + "\n" + violation)) - PASSED[module]


@pytest.mark.parametrize(
    "violation",
    [
        "log.warning('%s', image.tolist())",
        "log.warning(f'{image}')",
        "log.debug('frame', extra={'image': image})",
        "logging.info('%s', image)",
        "logging.warning(image)",
        "other = logging.getLogger(__name__)",
    ],
)
def test_a_log_of_pixels_would_be_found(violation: str) -> None:
    assert set(logged(ast.parse(violation))) - LOGGED


@pytest.mark.parametrize(
    "violation",
    [
        "raise SensorError(str(image.tolist()))",
        "raise SensorError(f'the picture is {image}')",
        "raise SensorError('dark' if image is None else f'{image}')",
        "raise SensorError('the picture is %s' % image)",
        "raise SensorError('the picture is ' + text)",
        "raise KeyError(image.data)",
        "raise told(image, 'it does not run')",
        "raise error",
        "outcome.set_exception(SensorError(text))",
        "error.args = (text,)",
        "error.add_note(text)",
        "assert image is None, image",
        "_agree('labels', ', '.join(map(str, image)), '')",
        "_agree('labels', bytes(image).decode('latin-1'), '')",
        "_agree('labels', np.array2string(image), '')",
        "_agree('labels', '{}'.format(image), '')",
    ],
)
def test_a_sentence_of_pixels_would_be_found(violation: str) -> None:
    assert set(said(ast.parse(violation)))


@pytest.mark.parametrize(
    "name",
    [
        "pickle",
        "shutil",
        "os",
        "socket",
        "subprocess",
        "ctypes",
        "mmap",
        "tempfile",
        "sys",
        "importlib",
        "httpx",
    ],
)
def test_an_import_that_leads_out_would_be_found(name: str) -> None:
    assert name not in HARMLESS


def test_only_metadata_is_asked_of_a_real_camera() -> None:
    asked = called(MODULES["sensor_sim.picamera"], re.compile(r"(capture|start_|Cnn)\w*"))
    assert asked == {"capture_metadata", "CnnOutputTensor", "CnnOutputTensorInfo", "CnnKpiInfo"}


def test_what_counts_never_sees_pixels() -> None:
    """Tracking, counting and sending import neither OpenCV nor the rooms that pixels live in."""
    found = {
        (module, name)
        for module in MODULES
        if within(module, "sensor_sim.perception") or within(module, "sensor_sim.device")
        for name in imports(module)
        if name == "cv2" or any(within(name, room) for room in PIXELS)
    }
    assert found == set()


def leaves(kind: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    """Every scalar type that a message of this kind can hold; columns hold integers with bounds of their own."""
    if isinstance(kind, msgspec.inspect.StructType) and kind.cls is wire.Columns:
        return
    if isinstance(kind, msgspec.inspect.StructType):
        for field in kind.fields:
            yield from leaves(field.type)
    elif isinstance(kind, msgspec.inspect.UnionType):
        for part in kind.types:
            yield from leaves(part)
    elif isinstance(kind, msgspec.inspect.ListType):
        yield from leaves(kind.item_type)
    elif isinstance(kind, msgspec.inspect.Metadata):
        yield from leaves(kind.type)
    else:
        yield kind


def test_what_a_sensor_may_send_is_numbers_and_words_of_closed_lists() -> None:
    for leaf in leaves(msgspec.inspect.type_info(wire.Upload)):
        match leaf:
            case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
                assert leaf.ge is not None, leaf
                assert (leaf.le, leaf.lt) != (None, None), leaf
            case msgspec.inspect.StrType():
                assert leaf.pattern in (r"^s-[0-9a-z]{4,24}$", r"^[0-9a-f]{16}$")
            case msgspec.inspect.NoneType():
                pass
            case msgspec.inspect.LiteralType():
                assert all(len(str(value)) <= 32 for value in leaf.values)
            case _:
                pytest.fail(f"{leaf} could hold anything")


WRITES: Final = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM|COPY|TRUNCATE|MERGE INTO)\s+ingest_bucket", re.I)
ORM_WRITES: Final = re.compile(r"Bucket\.objects\b[^\n]*\.(create|bulk_\w+|\w+_or_create|update|delete)\(")


def test_only_ingest_writes_buckets() -> None:
    writers = {
        path.relative_to(ROOT).as_posix()
        for package in PROJECT
        for path in (ROOT / package).rglob("*.py")
        if WRITES.search(text := path.read_text()) or ORM_WRITES.search(text)
    }
    assert writers == {"analytics/ingest/commit.py", "analytics/ingest/rebuild.py"}

"""What is wrong with a message, in the contract's words: none of the sender's own is kept or shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final

from msgspec import inspect

from sensorapp import wire

# What the decoder quotes of a message: names of fields that it does not know, and values.
QUOTED: Final = re.compile(r"(Object contains unknown field|Invalid (?:enum )?value) .*", re.DOTALL)
STEP: Final = re.compile(r"\.(\w+)|\[(\d+)\]", re.ASCII)
type_info = cache(inspect.type_info)
MILLISECONDS: Final = type_info(wire.Milliseconds)


def explain(
    error: wire.WireError, kind: type, tag: Callable[[int], str] = lambda place: ""
) -> tuple[str, str]:
    """Where a message of ``kind`` does not keep the contract, as a path, and why, with the remedy.

    ``tag`` is asked for the type of the event at a place, where it is one of its fields that is not known.
    """
    node, path, event = type_info(kind), "$", 0
    for name, place in STEP.findall(error.path):
        below = type_below(node, name)
        if below is None:  # the rest is not a path, but in a sender's words
            break
        node, path, event = below, path + (f".{name}" if name else f"[{place}]"), int(place or event)
    if "unknown field" in error.reason and not (
        structs(node) and error.reason.endswith("`")
    ):  # nor was any of it
        node, path = type_info(kind), "$"
    found = QUOTED.fullmatch(error.reason)
    reason = found[1] if found else error.reason[:200]
    return path, reason + remedy(reason, node, lambda: tag(event))


def type_below(node: inspect.Type, name: str) -> inspect.Type | None:
    """The type of a field, or of an item where ``name`` is empty."""
    for one in alternatives(node):
        match one:
            case inspect.ListType(item_type=item) if not name:
                return item
            case inspect.StructType(fields=fields, tag_field=tag_field) if name:
                if name == tag_field:
                    return inspect.LiteralType(tuple(tags(node)))
                if found := next((field.type for field in fields if field.encode_name == name), None):
                    return found
    return None


def remedy(reason: str, node: inspect.Type, tag: Callable[[], str]) -> str:
    for one in alternatives(node):
        match one:
            case inspect.StructType() if "unknown field" in reason:
                names = fields_of(node, tag())
                return f"; allowed are {listed(names)}" if names else ""
            case inspect.LiteralType(values=words) if reason.startswith("Invalid"):
                return f"; allowed are {listed(map(str, words))}"
            case inspect.IntType() if one == MILLISECONDS and reason.startswith("Expected `int` "):
                return "; times are Unix milliseconds, from 2000 to 2099"
    return ""


def alternatives(node: inspect.Type) -> tuple[inspect.Type, ...]:
    return node.types if isinstance(node, inspect.UnionType) else (node,)


def structs(node: inspect.Type) -> list[inspect.StructType]:
    return [one for one in alternatives(node) if isinstance(one, inspect.StructType)]


def tags(node: inspect.Type) -> list[str]:
    return [str(one.tag) for one in structs(node)]


def fields_of(node: inspect.Type, tag: str) -> list[str]:
    """Those that an object may have; of several kinds of objects, the one with this tag."""
    kinds = structs(node)
    for one in kinds:
        if len(kinds) == 1 or one.tag == tag:
            names = [field.encode_name for field in one.fields]
            return [one.tag_field, *names] if one.tag_field else names
    return []


def listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last

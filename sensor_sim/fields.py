"""Which fields and words a document may have: the remedy for one that is not known."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import inspect

STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")


def known_fields(error: msgspec.ValidationError, kind: type, plain: Any = None) -> str:
    """For a field or a word that is not known those that are, as in ``"; known are version and lines"``; else nothing.

    ``plain`` is the document as dicts and lists; it tells which of several tagged structs was meant.
    """
    reason, _, path = str(error).partition(" - at `$")
    if not reason.startswith(("Object contains unknown field", "Invalid enum value")):
        return ""
    node = _meant(inspect.type_info(kind), plain)
    for name, index in STEP.findall(path):
        plain = _value_below(plain, name or index)
        node = _meant(_type_below(node, name or index), plain)
    match node:
        case inspect.StructType():
            names = [field.encode_name for field in node.fields]
            *most, last = [node.tag_field, *names] if node.tag_field else names
        case inspect.LiteralType():
            *most, last = map(str, node.values)
        case _:
            return ""
    return f"; known are {', '.join(most)} and {last}" if most else f"; known is {last}"


def _value_below(plain: Any, key: str) -> Any:
    try:
        return plain[int(key) if key.isdecimal() else key]
    except (LookupError, TypeError):
        return None


def _type_below(node: inspect.Type, key: str) -> inspect.Type:
    match node:
        case inspect.StructType():
            return next((field.type for field in node.fields if field.encode_name == key), inspect.AnyType())
        case inspect.TupleType() if key.isdecimal() and int(key) < len(node.item_types):
            return node.item_types[int(key)]
        case inspect.ListType() | inspect.VarTupleType():
            return node.item_type
        case inspect.DictType():
            return node.value_type
    return inspect.AnyType()


def _meant(node: inspect.Type, plain: Any) -> inspect.Type:
    """Of a union the member that can hold an object or list like this one."""
    if not isinstance(node, inspect.UnionType):
        return node
    plainly = [member for member in node.types if not isinstance(member, inspect.NoneType)]
    tagged = [
        member
        for member in plainly
        if isinstance(member, inspect.StructType)
        and member.tag_field
        and _value_below(plain, member.tag_field) == member.tag
    ]
    return (tagged or plainly)[0]

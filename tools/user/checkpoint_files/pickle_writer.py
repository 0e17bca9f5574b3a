"""Pickles like those of PyTorch, without PyTorch."""

import struct
from typing import NamedTuple

from checkpoint_files.restricted_pickle import Global

PROTOCOL = b"\x80\x02"
STOP = b"."
CONSTANTS = {None: b"N", True: b"\x88", False: b"\x89"}


class Call(NamedTuple):
    """What a function gives for its arguments, then filled with items."""

    function: Global
    arguments: tuple
    items: dict = {}


class Reference(NamedTuple):
    """To what lies outside the pickle."""

    fields: tuple


def pickled(value: object) -> bytes:
    """A whole pickle of None, truths, integers, texts, tuples, lists, dicts, Globals, Calls and
    References."""
    return PROTOCOL + instructions(value) + STOP


def instructions(value: object) -> bytes:
    """Those that leave the value on the stack."""
    match value:
        case None | True | False:
            return CONSTANTS[value]
        case int():
            size = value.bit_length() // 8 + 1
            return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)
        case str():
            text = value.encode()
            return b"X" + struct.pack("<I", len(text)) + text
        case Global(module, name):
            return f"c{module}\n{name}\n".encode()
        case Call(function, arguments, items):
            return instructions(function) + instructions(arguments) + b"R" + filling(items)
        case Reference(fields):
            return instructions(fields) + b"Q"
        case tuple():
            return b"(" + joined(value) + b"t"
        case list():
            return b"](" + joined(value) + b"e"
        case dict():
            return b"}" + filling(value)
    raise TypeError(f"cannot pickle a {type(value).__name__}")


def joined(values: tuple | list) -> bytes:
    return b"".join(map(instructions, values))


def filling(items: dict) -> bytes:
    pairs = (instructions(key) + instructions(value) for key, value in items.items())
    return b"(" + b"".join(pairs) + b"u" if items else b""

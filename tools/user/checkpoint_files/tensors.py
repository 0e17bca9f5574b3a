"""Tensors of float32, and how the numbers of other types become them."""

import array
import math
import struct
import sys
from typing import NamedTuple


class Tensor(NamedTuple):
    """Float32 values in C order, little-endian."""

    shape: tuple[int, ...]
    data: bytes


SIZES = {  # bytes of the types that convert; integers are counters beside the weights
    **{"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2},
    **{"int64": 8, "uint8": 1, "bool": 1},
}
WORDS = {8: "Q", 4: "I", 2: "H", 1: "B"}  # array and memoryview codes of a number's bits, by its size


def ordered(words: array.array, byteorder: str) -> array.array:
    """Words with that order of bytes as this machine's, or the reverse."""
    if sys.byteorder != byteorder:
        words.byteswap()
    return words


def float32_bytes(words: array.array, dtype: str) -> bytes:
    """Numbers, given by the words of their bits, as float32; float32 keeps its bits. Throws
    ValueError for a number too large."""
    if dtype == "float64":
        exact = array.array("d", words.tobytes())
        numbers = array.array("f", exact)
        if any(math.isinf(f) and not math.isinf(x) for f, x in zip(numbers, exact)):
            raise ValueError("has a value too large for float32")
    elif dtype == "float16":
        numbers = array.array("f", struct.unpack(f"={len(words)}e", words.tobytes()))
    elif dtype == "bfloat16":
        numbers = array.array("I", (word << 16 for word in words))
    elif dtype == "int64":
        numbers = array.array("f", array.array("q", words.tobytes()))
    elif dtype in ("uint8", "bool"):
        numbers = array.array("f", words)
    else:
        numbers = words
    return ordered(numbers, "little").tobytes()

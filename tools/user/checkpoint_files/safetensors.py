"""Files in the safetensors format, https://huggingface.co/docs/safetensors: a 64-bit little-endian
length, a JSON header of that length, and the data that the header's offsets point into."""

import array
import json
import math
import struct

from checkpoint_files.tensors import SIZES, WORDS, Tensor, float32_bytes, ordered

METADATA = "__metadata__"
DTYPES = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
    **{"I64": "int64", "U8": "uint8", "BOOL": "bool"},
}
DIGEST = "xxh3_128"  # of the whole content, in the metadata; changed content has another


def without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("its safetensors header repeats a name")
    return dict(pairs)


def read_header(content: bytes) -> tuple[dict, bytes]:
    """The header, and the data after it."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise ValueError("is not a safetensors file, or is cut short")
    try:
        header = json.loads(content[8 : 8 + length], object_pairs_hook=without_repeats)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"its safetensors header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise ValueError("its safetensors header is not a JSON object")
    return header, content[8 + length :]


def read_tensor(name: str, fields: object, data: bytes) -> Tensor:
    match fields:
        case {"dtype": str(code), "shape": [*shape], "data_offsets": [int(begin), int(end)]} if (
            0 <= begin <= end <= len(data) and all(type(n) is int and n >= 0 for n in shape)
        ):
            pass
        case _:
            raise ValueError(f"tensor {name!r} lacks a dtype, a shape or offsets within the file")
    if code not in DTYPES:
        raise ValueError(f"tensor {name!r} is of dtype {code}; {', '.join(DTYPES)} can be read")
    dtype = DTYPES[code]
    if math.prod(shape) * SIZES[dtype] != end - begin:
        raise ValueError(f"tensor {name!r} has {end - begin} bytes, which its shape does not take")
    words = array.array(WORDS[SIZES[dtype]], data[begin:end])
    return Tensor(tuple(shape), float32_bytes(ordered(words, "little"), dtype))


def read_safetensors(content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file in the order of their data, and the metadata but for the digest. Throws
    ValueError."""
    header, data = read_header(content)
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(type(text) is str for text in metadata.values()):
        raise ValueError("its metadata are not texts")
    metadata.pop(DIGEST, None)
    tensors = {name: read_tensor(name, fields, data) for name, fields in header.items()}
    covered = 0
    names = sorted(tensors, key=lambda name: header[name]["data_offsets"])
    for name in names:
        if header[name]["data_offsets"][0] != covered:
            raise ValueError(f"tensor {name!r} does not begin where the one before it ends")
        covered = header[name]["data_offsets"][1]
    if covered != len(data):
        raise ValueError(f"holds {len(data)} bytes of data, of which its tensors take {covered}")
    return {name: tensors[name] for name in names}, metadata


def safetensors_bytes(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """A whole file. Throws ValueError for a name that the format cannot hold."""
    header: dict[str, object] = {METADATA: metadata} if metadata else {}
    offset = 0
    for name, tensor in tensors.items():
        if name == METADATA:
            raise ValueError(f"has a tensor named {METADATA}, which safetensors files cannot hold")
        end = offset + len(tensor.data)
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return (
        struct.pack("<Q", len(text)) + text + b"".join(tensor.data for tensor in tensors.values())
    )

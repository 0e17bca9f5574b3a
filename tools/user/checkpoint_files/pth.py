"""Files that torch.save() writes of a state_dict: the zip format of PyTorch 1.6 and later, and the
one before it. https://github.com/pytorch/pytorch/blob/main/torch/serialization.py is the source."""

import array
import io
import math
import re
import struct
import zipfile

from checkpoint_files.entries import chosen
from checkpoint_files.pickle_writer import Call, Reference, pickled
from checkpoint_files.restricted_pickle import (
    ORDERED_DICT,
    TENSOR,
    Global,
    Storage,
    View,
    unpickle,
)
from checkpoint_files.tensors import SIZES, WORDS, Tensor, float32_bytes, ordered

MAGIC = 0x1950A86A20F9469CFC6C  # of the old format
VERSION = 1001
# A hostile file names more than fits the memory, by a few bytes.
DEEPEST = 8
LONGEST_NAME = 100
MOST_STATE_DICTS = 100
REMEDY = "in PyTorch, write it with torch.save(net.state_dict(), NAME)"


class Content:
    """What a file holds: a pickled value, and the bytes of the storages it refers to."""

    def __init__(self, value: object, storages: dict[str, bytes], byteorder: str) -> None:
        self.value = value
        self.storages = storages
        self.byteorder = byteorder


def checked_members(archive: zipfile.ZipFile, file_size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name: none is compressed or there twice, and they fit into the file."""
    members = {info.filename: info for info in archive.infolist()}
    if len(members) != len(archive.infolist()):
        raise ValueError("holds two members of one name")
    if any(name.endswith("/constants.pkl") for name in members):
        raise ValueError(f"is a TorchScript program; {REMEDY}")
    for info in members.values():
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ValueError(f"its member {info.filename!r} is compressed, as PyTorch leaves none")
    if sum(info.file_size for info in members.values()) > file_size:
        raise ValueError("claims members larger than itself")
    return members


def read_zip(content: bytes) -> Content:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = checked_members(archive, len(content))
        pickles = [name for name in members if re.fullmatch("[^/]+/data[.]pkl", name)]
        if len(pickles) != 1:
            raise ValueError(f"is a zip file, but not of PyTorch: it needs one data.pkl; {REMEDY}")
        folder = pickles[0].removesuffix("data.pkl")
        byteorder = "little"
        if folder + "byteorder" in members:
            byteorder = archive.read(folder + "byteorder").decode()
        if byteorder not in ("little", "big"):
            raise ValueError(f"its byteorder is {byteorder!r}, not little or big")
        value = unpickle(io.BytesIO(archive.read(pickles[0])))
        data = folder + "data/"
        storages = {
            name.removeprefix(data): archive.read(name) for name in members if name.startswith(data)
        }
        return Content(value, storages, byteorder)


def storages_in(value: object) -> dict[str, Storage]:
    """The storages that a value refers to, which may contain itself."""
    found: dict[str, Storage] = {}
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Storage):
            if found.setdefault(item.key, item) != item:
                raise ValueError(f"its pickle describes storage {item.key} in two ways")
        elif isinstance(item, (tuple, list)):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item.values())
    return found


def read_legacy(content: bytes) -> Content:
    """Five pickles, the last of them the keys of the storages, which follow: each its number of
    elements and then these, little-endian whatever the machine."""
    stream = io.BytesIO(content)
    if unpickle(stream) != MAGIC or unpickle(stream) != VERSION:
        raise ValueError(f"is not of PyTorch, or of a version before 0.4; {REMEDY}")
    unpickle(stream)  # about the machine that wrote it
    value = unpickle(stream)
    keys = unpickle(stream)
    described = storages_in(value)
    storages: dict[str, bytes] = {}
    for key in keys if isinstance(keys, list) else []:
        if type(key) is not str or key not in described or key in storages:
            raise ValueError(f"holds a storage {key!r} that its pickle does not refer to")
        count = int.from_bytes(stream.read(8), "little")
        if count != described[key].count:
            raise ValueError(f"its storage {key} has {count} elements, not {described[key].count}")
        storages[key] = stream.read(count * described[key].dtype.size)
    return Content(value, storages, "little")


def is_state_dict(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and len(entry) > 0
        and all(type(name) is str and type(view) is View for name, view in entry.items())
    )


def is_list_of_tensors(entry: object) -> bool:
    return isinstance(entry, list) and any(type(view) is View for view in entry)


def state_dicts_in(value: object) -> dict[str, dict[str, View]]:
    """The state_dicts that a value is or holds, by the names on the way to them, with dots between;
    none of an optimizer's."""
    found = {}
    seen: set[int] = set()
    waiting: list[tuple[tuple[str, ...], object]] = [((), value)]
    while waiting:
        way, item = waiting.pop()
        if not isinstance(item, dict) or id(item) in seen or is_optimizer(item):
            continue
        seen.add(id(item))
        if is_state_dict(item):
            found[".".join(way)] = item
        elif len(way) < DEEPEST:
            keys = [key for key in item if len(str(key)) <= LONGEST_NAME]
            waiting += [((*way, str(key)), item[key]) for key in reversed(keys)]
        if len(found) > MOST_STATE_DICTS:
            raise ValueError(f"holds more than {MOST_STATE_DICTS} state_dicts; {REMEDY}")
    return found


def is_optimizer(entry: dict) -> bool:
    return {"state", "param_groups"} <= entry.keys()


def without_state_dict(value: object) -> str:
    """What is wrong with a value that holds none."""
    if not isinstance(value, dict):
        return f"does not hold a state_dict; {REMEDY}"
    if is_optimizer(value):
        return "is the state of an optimizer; convert the network's file"
    entries = ", ".join(repr(key)[:40] for key in list(value)[:6])
    problem = f"does not hold a state_dict; its entries: {entries or 'none'}"
    nameless = [repr(key)[:40] for key in value if is_list_of_tensors(value[key])]
    if nameless:
        return (
            f"{problem}; {nameless[0]} is a list of tensors without names: in PyTorch, copy them "
            "into the network (ema.copy_to(net.parameters())) and save net.state_dict()"
        )
    return f"{problem}; {REMEDY}"


def elements_of(view: View, storage: memoryview) -> array.array:
    """The view's elements in C order; throws ValueError where it reaches beyond its storage."""
    count = math.prod(view.shape)
    last = view.offset + sum((n - 1) * stride for n, stride in zip(view.shape, view.strides))
    if count > 0 and (count > len(storage) or last >= len(storage)):
        raise ValueError(
            f"of shape {view.shape} takes more than its storage of {len(storage)} elements; "
            "in PyTorch, save tensor.clone()"
        )
    if count == 0:
        return array.array(storage.format)
    dense = [math.prod(view.shape[i + 1 :]) for i in range(len(view.shape))]
    if all(n == 1 or a == b for n, a, b in zip(view.shape, view.strides, dense)):
        return array.array(storage.format, storage[view.offset :][:count].tobytes())
    places = [view.offset]
    for n, stride in zip(view.shape, view.strides):
        places = [place + i * stride for place in places for i in range(n)]
    return array.array(storage.format, (storage[place] for place in places))


def tensor_from(view: View, content: Content) -> Tensor:
    dtype, key, count = view.storage
    if dtype.name not in SIZES:
        raise ValueError(
            f"is of type {dtype.name}, which is no network's; in PyTorch, leave it out"
        )
    data = content.storages.get(key, b"")
    if len(data) < count * dtype.size:
        raise ValueError(
            f"is in storage {key}, of which there are {len(data)} bytes instead of "
            f"{count * dtype.size}: the file is cut short"
        )
    storage = memoryview(data)[: count * dtype.size].cast(WORDS[dtype.size])
    elements = ordered(elements_of(view, storage), content.byteorder)
    return Tensor(view.shape, float32_bytes(elements, dtype.name))


def read_pth(content: bytes, entry: str = "") -> tuple[dict[str, Tensor], str]:
    """The tensors of a file that chosen() chooses, and where in it they are. Throws ValueError and
    what else Python does on malformed input; never runs anything of the file's."""
    if content.startswith(b"PK\x03\x04"):
        read = read_zip(content)
    elif content.startswith(b"\x80"):
        read = read_legacy(content)
    else:
        raise ValueError(f"is not a file of PyTorch; {REMEDY}")
    state_dicts = state_dicts_in(read.value)
    if not state_dicts:
        raise ValueError(without_state_dict(read.value))
    views, place = chosen(state_dicts, entry)
    if sum(math.prod(view.shape) for view in views.values()) > len(content):
        raise ValueError("its tensors overlap, and would be far larger one by one")
    tensors = {}
    for name, view in views.items():
        try:
            tensors[name] = tensor_from(view, read)
        except ValueError as error:
            raise ValueError(f"tensor {name!r} {error}") from error
    return tensors, place


def state_dict_pickle(tensors: dict[str, Tensor], end_of_reference: tuple) -> Call:
    """An OrderedDict of contiguous tensors, the i-th in storage i."""
    items = {}
    for key, (name, tensor) in enumerate(tensors.items()):
        count = len(tensor.data) // 4
        kind = Global("torch", "FloatStorage")
        storage = Reference(("storage", kind, str(key), "cpu", count, *end_of_reference))
        strides = tuple(math.prod(tensor.shape[i + 1 :]) for i in range(len(tensor.shape)))
        no_hooks = Call(ORDERED_DICT, ())
        items[name] = Call(TENSOR, (storage, 0, tensor.shape, strides, False, no_hooks))
    return Call(ORDERED_DICT, (), items)


def zip_bytes(tensors: dict[str, Tensor]) -> bytes:
    members = {
        "data.pkl": pickled(state_dict_pickle(tensors, ())),
        "byteorder": b"little",
        **{f"data/{key}": tensor.data for key, tensor in enumerate(tensors.values())},
        "version": b"3\n",
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo("archive/" + name), data)  # dated 1980, as PyTorch's
    return stream.getvalue()


def legacy_bytes(tensors: dict[str, Tensor]) -> bytes:
    machine = {
        "protocol_version": VERSION,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    keys = [str(key) for key in range(len(tensors))]
    values = (MAGIC, VERSION, machine, state_dict_pickle(tensors, (None,)), keys)
    pieces = [pickled(value) for value in values]
    for tensor in tensors.values():
        pieces += [struct.pack("<q", len(tensor.data) // 4), tensor.data]
    return b"".join(pieces)

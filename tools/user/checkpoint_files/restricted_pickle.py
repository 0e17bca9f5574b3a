"""The pickles that PyTorch writes, read without running them.

A pickle is a program for a stack machine, which may import and call anything. The one here carries
out only the instructions that a state_dict takes, on plain records, and knows five functions, which
it does itself. Python's own Unpickler with a restricted find_class would not be enough: a few bytes
make it take gigabytes for its memo, or spend years on the hash of nested tuples.
"""

import pickletools
from typing import BinaryIO, NamedTuple


class Dtype(NamedTuple):
    name: str
    size: int  # bytes of an element


DTYPES = {
    "FloatStorage": Dtype("float32", 4),
    "DoubleStorage": Dtype("float64", 8),
    "HalfStorage": Dtype("float16", 2),
    "BFloat16Storage": Dtype("bfloat16", 2),
    "LongStorage": Dtype("int64", 8),
    "IntStorage": Dtype("int32", 4),
    "ShortStorage": Dtype("int16", 2),
    "CharStorage": Dtype("int8", 1),
    "ByteStorage": Dtype("uint8", 1),
    "BoolStorage": Dtype("bool", 1),
}


class Global(NamedTuple):
    """A class or function by name; nothing is behind it."""

    module: str
    name: str


class Storage(NamedTuple):
    """A run of elements elsewhere in the file, which tensors are views of."""

    dtype: Dtype
    key: str
    count: int


class View(NamedTuple):
    """A tensor: its element (i, j, ...) is the storage's element offset + i*strides[0] + ..."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


ORDERED_DICT = Global("collections", "OrderedDict")
TENSOR = Global("torch._utils", "_rebuild_tensor_v2")
OLD_TENSOR = Global("torch._utils", "_rebuild_tensor")
PARAMETER = Global("torch._utils", "_rebuild_parameter")
STORAGES = {Global("torch", kind): dtype for kind, dtype in DTYPES.items()}
GLOBALS = {ORDERED_DICT, TENSOR, OLD_TENSOR, PARAMETER, *STORAGES}

CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
MOST_DIMENSIONS = 64  # PyTorch's own limit


def is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def known_global(module: object, name: object) -> Global:
    if type(module) is not str or type(name) is not str or (module, name) not in GLOBALS:
        raise ValueError(
            f"its pickle asks for {module}.{name}, which no state_dict needs and which could do "
            "anything; if you trust the file, load it in PyTorch and save net.state_dict()"
        )
    return Global(module, name)


def storage_from(reference: object) -> Storage:
    match reference:
        case ("storage", Global() as kind, str(key), str(), count) if is_size(count):
            return Storage(STORAGES[kind], key, count)
        case ("storage", Global() as kind, str(key), str(), count, None) if is_size(count):
            return Storage(STORAGES[kind], key, count)  # as the old format has it
    raise ValueError("its pickle refers to what is not a whole storage")


def view_from(arguments: tuple) -> View:
    match arguments:
        case (Storage() as storage, offset, tuple(shape), tuple(strides), *_) if len(shape) == len(
            strides
        ) <= MOST_DIMENSIONS and all(map(is_size, (offset, *shape, *strides))):
            return View(storage, offset, tuple(shape), tuple(strides))
    raise ValueError("its pickle has a tensor without storage, offset, sizes and strides")


def call(function: object, arguments: object) -> object:
    """What a call gives; no code of the file's choosing runs."""
    if type(arguments) is tuple:
        if function == ORDERED_DICT and not arguments:
            return {}
        if function in (TENSOR, OLD_TENSOR):
            return view_from(arguments)
        if function == PARAMETER and arguments:
            return arguments[0]
    raise ValueError("its pickle makes a call that no state_dict needs")


class Machine:
    """The stack machine of one pickle."""

    def __init__(self) -> None:
        self.stack: list = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def take(self, count: int) -> list:
        """Takes values off the stack, never past a mark."""
        first = len(self.stack) - count
        if first < (self.marks[-1] if self.marks else 0):
            raise ValueError("its pickle takes more from the stack than there is")
        taken = self.stack[first:]
        del self.stack[first:]
        return taken

    def take_to_mark(self) -> list:
        return self.take(len(self.stack) - self.marks.pop())

    def append(self, items: list) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError("its pickle appends to what is not a list")
        self.stack[-1].extend(items)

    def set_items(self, items: list) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise ValueError("its pickle fills what is not a dictionary")
        for key, value in zip(items[::2], items[1::2]):
            if type(key) not in (str, int):  # only these are sure to hash quickly
                raise ValueError("its pickle has a dictionary key that is no text and no integer")
            target[key] = value

    def step(self, name: str, argument: object) -> None:
        """Carries out one instruction, named as pickletools does."""
        push = self.stack.append
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self.marks.append(len(self.stack))
            case "TUPLE":
                push(tuple(self.take_to_mark()))
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self.stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.stack[-1]
            case "BINGET" | "LONG_BINGET":
                push(self.memo[argument])
            case "APPEND":
                self.append(self.take(1))
            case "APPENDS":
                self.append(self.take_to_mark())
            case "SETITEM":
                self.set_items(self.take(2))
            case "SETITEMS":
                self.set_items(self.take_to_mark())
            case "GLOBAL":
                push(known_global(*str(argument).split(" ", 1)))
            case "STACK_GLOBAL":
                push(known_global(*self.take(2)))
            case "REDUCE":
                push(call(*self.take(2)))
            case "BINPERSID":
                push(storage_from(*self.take(1)))
            case "BUILD":  # the attributes of a state_dict, which are versions of its modules
                self.take(1)
            case _ if name in LITERALS:
                push(argument)
            case _ if name in CONSTANTS:
                push(CONSTANTS[name])
            case _ if name in EMPTY:
                push(EMPTY[name]())
            case _ if name in TUPLES:
                push(tuple(self.take(TUPLES[name])))
            case _:
                raise ValueError(f"its pickle has the instruction {name}, which no state_dict has")


def unpickle(stream: BinaryIO) -> object:
    """The value of the pickle at the stream's position, which moves to its end: None, truths,
    numbers, texts, tuples, lists, dicts, Globals, Storages and Views. Raises ValueError or
    LookupError."""
    machine = Machine()
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "STOP":
            return machine.take(1)[0]
        machine.step(opcode.name, argument)
    raise ValueError("its pickle has no end")

#!/usr/bin/env python3
"""Converts networks between PyTorch's .pth files and .safetensors files; extensions say which way.

A .pth file must hold state_dicts, in the zip format (PyTorch 1.6 and later) or the older one; of
several, --entry chooses one. It is read without PyTorch and nothing in it is run: a file that asks
for more than tensors is refused. Tensors become float32. Name the network here, or later to the
program that reads it.
"""

import argparse
import math
import os
import sys
import zipfile
from pathlib import Path

sys.dont_write_bytecode = True  # the folder of checkpoint_files may be a package's, or the sources

from checkpoint_files.entries import chosen  # noqa: E402
from checkpoint_files.pth import legacy_bytes, read_pth, zip_bytes  # noqa: E402
from checkpoint_files.safetensors import read_safetensors, safetensors_bytes  # noqa: E402
from checkpoint_files.tensors import Tensor  # noqa: E402

EXAMPLES = """examples:
  %(prog)s net_00100.pth net.safetensors --network nonlocal --channels 3
  %(prog)s averaged.pth net.safetensors --entry ema
  %(prog)s runs/a/checkpoints/net_003000.safetensors net.pth
"""
# What Python raises on malformed input.
MALFORMED = (
    ValueError,
    LookupError,
    TypeError,
    OverflowError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
)


class Failure(Exception):
    """Ends the program: 1 a failure while running, 2 the command line, 3 the input file."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError
    return int(text)


def step_size(text: str) -> float:
    if not (0 < float(text) < math.inf):
        raise ValueError
    return float(text)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", metavar="IN", type=Path, help="the network")
    parser.add_argument("output", metavar="OUT", type=Path, help="where it goes")
    parser.add_argument("--network", choices=("toy", "vanilla", "nonlocal"), help="to .safetensors")
    parser.add_argument("--channels", metavar="C", type=positive, help="of its states [toy: 2]")
    parser.add_argument("--features", metavar="N", type=positive, help="its width [32]")
    parser.add_argument("--epsilon", metavar="E", type=step_size, help="it was trained with")
    parser.add_argument(
        "--entry", metavar="NAME", default="", help="of IN: only what is under it, such as ema"
    )
    parser.add_argument("--legacy", action="store_true", help="to .pth: for PyTorch before 1.6")
    parser.add_argument("--force", action="store_true", help="replace OUT if there is one")
    options = parser.parse_args(arguments)
    check(options)
    return options


def check(options: argparse.Namespace) -> None:
    """Throws Failure for options that contradict each other."""
    kinds = {".pth": "pth", ".pt": "pth", ".safetensors": "safetensors"}
    for path in (options.input, options.output):
        if path.suffix not in kinds:
            raise Failure(2, f"{path}: its name must end with .pth, .pt or .safetensors")
    options.from_pth, options.to_pth = (
        kinds[path.suffix] == "pth" for path in (options.input, options.output)
    )
    about = (options.channels, options.features, options.epsilon)
    if options.to_pth and options.network:
        raise Failure(2, "--network is for conversion to .safetensors")
    if not options.to_pth and options.legacy:
        raise Failure(2, "--legacy is for conversion to .pth")
    if not options.network and any(about):
        raise Failure(2, "--channels, --features and --epsilon need --network")
    if options.network and options.network != "toy" and not options.channels:
        raise Failure(2, f"--network {options.network} needs --channels")
    if options.output.exists() and not options.force:
        raise Failure(2, f"{options.output}: is there already; choose another name, or --force")


def named_network(options: argparse.Namespace) -> dict[str, str]:
    """Metadata as ebm's programs write and read them."""
    if not options.network:
        return {}
    about = {
        "network": options.network,
        "channels": str(options.channels or 2),
        "features": str(options.features or 32),
    }
    return about | ({"epsilon": str(options.epsilon)} if options.epsilon else {})


def read(options: argparse.Namespace) -> tuple[dict[str, Tensor], str, dict[str, str]]:
    """The tensors by name, where in the file they were, and its metadata."""
    try:
        content = options.input.read_bytes()
    except OSError as error:
        raise Failure(3, f"{options.input}: cannot be read: {error.strerror}") from error
    try:
        if options.from_pth:
            return *read_pth(content, options.entry), {}
        tensors, kept = read_safetensors(content)
        return *chosen({"": tensors}, options.entry), kept
    except ValueError as error:
        raise Failure(3, f"{options.input}: {error}") from error
    except MALFORMED as error:
        raise Failure(
            3, f"{options.input}: is damaged ({type(error).__name__}: {error})"
        ) from error


def write_atomically(path: Path, content: bytes) -> None:
    """The file appears whole or not at all, even after a crash or a power cut."""
    if path.exists() and not path.is_file():
        raise Failure(1, f"cannot write {path}: it is not a file; choose another name")
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Failure(1, f"cannot write {path}: {error.strerror}; free space or choose another "
                         "place") from error  # fmt: skip
    finally:
        temporary.unlink(missing_ok=True)


def convert(options: argparse.Namespace) -> str:
    tensors, place, kept = read(options)
    if options.to_pth:
        content = (legacy_bytes if options.legacy else zip_bytes)(tensors)
    else:
        try:
            content = safetensors_bytes(tensors, kept | named_network(options))
        except ValueError as error:
            raise Failure(3, f"{options.input}: {error}") from error
    write_atomically(options.output, content)
    return f"{options.output}: {len(tensors)} tensors" + (f", those under {place!r}" if place else "")


def main() -> int:
    program = Path(sys.argv[0]).name
    try:
        print(convert(parse(sys.argv[1:])))
        return 0
    except Failure as failure:
        print(f"{program}: {failure}", file=sys.stderr)
        return failure.status
    except MemoryError:
        print(f"{program}: not enough memory", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Runs clang-tidy over files whose paths are read one a line, but for those that it found clean
before: of which all that the compiler sees (the text after preprocessing, with its comments, and
the options), clang-tidy and its rules are the same. Exit status 1 if it finds anything.
usage: tidy_changed.py BUILD_FOLDER [--all] [CLANG_TIDY_OPTION...] <FILES
BUILD_FOLDER has compile_commands.json; --all also checks what was clean before.
"""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

build, *options = sys.argv[1:]
every = "--all" in options
options = [option for option in options if option != "--all"]
entries = json.loads(Path(build, "compile_commands.json").read_text())
commands = {entry["file"]: entry for entry in entries}
rules = [
    subprocess.run(["clang-tidy", "--version"], stdout=subprocess.PIPE, check=True).stdout,
    Path(".clang-tidy").read_bytes(),
    " ".join(options).encode(),
]
cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
clean = cache / "ebm/lint"  # has an empty file for each state of a file that was clean
clean.mkdir(parents=True, exist_ok=True)


def digest(file):
    """None where the compiler refuses it, which clang-tidy says better."""
    entry = commands[file]
    words = shlex.split(entry["command"])
    at = words.index("-o")
    del words[at : at + 2]
    words += ["-E", "-C", "-P"]
    preprocessed = subprocess.run(words, cwd=entry["directory"], capture_output=True)
    if preprocessed.returncode != 0:
        return None
    seen = [word for word in words if not word.startswith(("-I", "/"))]
    text = preprocessed.stdout.replace(os.getcwd().encode(), b".")  # __FILE__, in any clone
    parts = [*rules, "\0".join(seen).encode(), text]
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def check(file):
    """What clang-tidy says of it; "" if it is clean, None if it was so before."""
    of_file = digest(file)
    if of_file and not every and (clean / of_file).exists():
        return None
    found = subprocess.run(
        ["clang-tidy", "-quiet", "-p", build, *options, file], text=True, capture_output=True
    )
    if found.returncode != 0:
        return found.stdout + (found.stderr if not found.stdout else "")
    if of_file:
        (clean / of_file).touch()
    return ""


with ThreadPoolExecutor(os.cpu_count()) as pool:
    reports = list(pool.map(check, sys.stdin.read().split()))
checked = [report for report in reports if report is not None]
findings = [report for report in checked if report]
print(*findings, sep="\n", end="")
print(f"lint: clang-tidy checked {len(checked)} files of {build}; {len(reports) - len(checked)}"
      " were clean before")  # fmt: skip
sys.exit(1 if findings else 0)

#!/usr/bin/env python3
"""Reads source files' paths, one a line, and prints each with a digest before it of all that a
compiler sees of it: the preprocessed text with its comments, and the options.
usage: preprocessed_digests.py BUILD_FOLDER <FILES     BUILD_FOLDER has compile_commands.json
"""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

build = Path(sys.argv[1])
commands = {entry["file"]: entry for entry in json.loads((build / "compile_commands.json").read_text())}


def digest(file: str) -> str:
    entry = commands[file]
    words = shlex.split(entry["command"])
    output = words.index("-o")
    del words[output : output + 2]
    text = subprocess.run(
        [*words, "-E", "-C", "-P"], cwd=entry["directory"], stdout=subprocess.PIPE, check=True
    ).stdout
    options = [word for word in words if not word.startswith(("-I", "/"))]
    return hashlib.sha256("\0".join(options).encode() + b"\0" + text).hexdigest()


files = sys.stdin.read().split()
with ThreadPoolExecutor(os.cpu_count()) as pool:
    for file, of_file in zip(files, pool.map(digest, files)):
        print(of_file, file)

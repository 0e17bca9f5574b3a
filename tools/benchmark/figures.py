"""Keeps the figures of a measurement in one JSON file, which is whole at any moment.

usage: figures.py FILE.json set KEY=TEXT...
       figures.py FILE.json part PART WHAT RESULT SECONDS REASON ENDED
       figures.py FILE.json add NAME      lines that are JSON objects, as they come from the input

The file is {KEY: TEXT..., "parts": [{"part", "what", "result", "seconds", "ended", "reason"}...],
"figures": {NAME: [OBJECT...]...}}, where "ended" is the second since the beginning of all. It is
replaced whole after each line; several processes may write it at once. A line that is no object is
kept as {"text": LINE}.
"""

import fcntl
import json
import os  # and little else: this is started for every line
import sys


def unfinished(file):
    """Where the next version is written: above the file's folder, so that a kill leaves nothing
    that is cut short in it, or in it, where that is another file system's or not ours."""
    folder, name = os.path.split(file)
    above, folder_name = os.path.split(folder)
    if os.stat(above).st_dev == os.stat(folder).st_dev and os.access(above, os.W_OK):
        return os.path.join(above, f".{folder_name}.{name}.tmp")
    return file + ".tmp"


def change(file, edit):
    """Edits what the file holds, one writer of this user's at a time."""
    place = os.environ.get("TMPDIR", "/tmp")
    with open(os.path.join(place, f"ebm_figures.{os.getuid()}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = {}
        if os.path.exists(file):
            with open(file) as before:
                kept = json.load(before)
        kept.setdefault("parts", [])
        kept.setdefault("figures", {})
        edit(kept)
        temporary = unfinished(file)
        with open(temporary, "w") as after:
            after.write(json.dumps(kept, indent=1) + "\n")
        os.replace(temporary, file)


def parsed(line):
    try:
        figure = json.loads(line)
    except ValueError:
        figure = None
    return figure if isinstance(figure, dict) else {"text": line}


def add_lines(file, name):
    sys.stdin.reconfigure(errors="replace")
    change(file, lambda kept: kept["figures"].setdefault(name, []))
    for line in iter(sys.stdin.readline, ""):  # each at once
        if line.strip():
            figure = parsed(line.strip())
            change(file, lambda kept: kept["figures"].setdefault(name, []).append(figure))
            print(line, end="", flush=True)


def main():
    file, verb, words = os.path.realpath(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if verb == "set":
        change(file, lambda kept: kept.update(word.split("=", 1) for word in words))
    elif verb == "part":
        part, what, result, seconds, reason, ended = words
        entry = {"part": part, "what": what, "result": result, "seconds": float(seconds),
                 "ended": int(ended)}
        change(file, lambda kept: kept["parts"].append(entry | ({"reason": reason} if reason else {})))
    elif verb == "add":
        add_lines(file, *words)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()

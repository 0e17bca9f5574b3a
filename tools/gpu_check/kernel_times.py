"""Prints the mean duration of each kernel and size that ncu has measured: one JSON object a line,
the one that took longest in all first.

usage: kernel_times.py LOG     what `ncu --csv --metrics gpu__time_duration.sum` has written

The input is what the profiled program, ebm_gpu_benchmark, has printed: its figure's network,
precision, batch and steps are each kernel's too. Exit status 1 if there is none.
"""

import csv
import json
import sys
from pathlib import Path

# ncu has written units long and short.
MICROSECONDS = {"ns": 1e-3, "nsecond": 1e-3, "us": 1, "usecond": 1, "ms": 1e3, "msecond": 1e3,
                "s": 1e6, "second": 1e6}


def durations(text):
    """{(kernel, grid, block): [µs of each launch]}. Lines of ncu's own and of the program are passed over."""
    lines = text.splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith('"ID"')]
    times = {}
    for row in csv.DictReader(line for line in lines[heads[0]:] if line[:1] == '"') if heads else ():
        if row["Metric Name"] == "gpu__time_duration.sum":
            took = float(row["Metric Value"].replace(",", "")) * MICROSECONDS[row["Metric Unit"]]
            key = row["Kernel Name"], row.get("Grid Size", ""), row.get("Block Size", "")
            times.setdefault(key, []).append(took)
    return times


def main():
    log = Path(sys.argv[1])
    figures = [json.loads(line) for line in sys.stdin if line.startswith("{") and "steps" in line]
    profiled = {key: figures[0][key] for key in ("network", "precision", "batch", "steps")}
    times = durations(log.read_text(errors="replace")) if log.exists() else {}
    for (kernel, grid, block), took in sorted(times.items(), key=lambda entry: -sum(entry[1])):
        print(json.dumps({**profiled, "kernel": kernel, "grid": grid, "block": block,
                          "launches": len(took), "mean_us": round(sum(took) / len(took), 3)}))
    return 0 if times else 1


if __name__ == "__main__":
    sys.exit(main())

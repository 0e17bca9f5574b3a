"""Prints the tables of tools/benchmark/gpu.sh from what both programs measured.

usage: gpu_table.py EBM.json PYTORCH.json      the second may not exist
"""

import json
import sys
from datetime import date
from pathlib import Path

from table import against, milliseconds


def compare(ours, theirs):
    """PyTorch's columns: eager as published, and the fastest compiled, each with its ratio."""
    modes = {run["mode"]: run["seconds"] for run in theirs}
    compiled = {mode: took for mode, took in modes.items() if mode.startswith("compiled")}
    eager = against(ours, modes["eager"]) if "eager" in modes else "–"
    if not compiled:
        return [eager, "–", "–"]
    best = min(compiled, key=compiled.get)
    return [eager, against(ours, compiled[best]), best]


def print_table(heads, rows):
    print("| " + " | ".join(heads) + " |")
    print("|---" * len(heads) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def share_of_limit(step, limits):
    """TFLOP/s, and the share of what a matrix product reaches at the network's precision."""
    peak = limits.get("fp32" if step["network"] == "toy" else step["precision"])
    speed = step["operations"] / step["seconds"]
    return f"{speed / 1e12:.3g}", f"{speed / peak:.0%}" if peak else "–"


def main():
    ours = json.loads(Path(sys.argv[1]).read_text())
    theirs = {"version": None, "steps": [], "iterations": []}
    if Path(sys.argv[2]).exists():
        theirs = json.loads(Path(sys.argv[2]).read_text())
    limits = ours["limits"]
    peaks = ", ".join(f"{limits[name] / 1e12:.0f} TFLOP/s {name}"
                      for name in ("fp32", "tf32", "bf16") if name in limits)
    bandwidth = f", {limits['bandwidth'] / 1e12:.2f} TB/s" if "bandwidth" in limits else ""
    print(f"{ours['device']}, {date.today()}: {peaks or 'limits not measured'}{bandwidth}; "
          f"PyTorch {theirs['version'] or 'not measured'}.\n")

    pytorch = ["PyTorch eager", "best compiled", "its mode"]
    rows = []
    for step in ours["steps"]:
        key = ("network", "batch", "precision")
        same = [run for run in theirs["steps"] if all(run[k] == step[k] for k in key)]
        precision = "fp32" if step["network"] == "toy" else step["precision"]
        rows.append([step["network"], str(step["batch"]), precision, milliseconds(step["seconds"]),
                     *compare(step["seconds"], same), *share_of_limit(step, limits)])
    print_table(["one Langevin step", "batch", "precision", "ebm", *pytorch, "TFLOP/s", "of peak"],
                rows)

    rows = []
    for run in ours["iterations"]:
        key = ("experiment", "precision")
        same = [other for other in theirs["iterations"] if all(other[k] == run[k] for k in key)]
        outside = max(0.0, 1 - run["seconds_of_steps"] / run["seconds"])
        precision = "fp32" if run["experiment"].startswith("gmm") else run["precision"]
        rows.append([run["experiment"], precision, milliseconds(run["seconds"]),
                     *compare(run["seconds"], same), f"{outside:.1%}"])
    print_table(["one iteration", "precision", "ebm", *pytorch, "outside its steps"], rows)
    print("Outside its steps: the share of an iteration's time that its Langevin steps alone, one "
          "after the other\nby the GPU's clock, do not fill: the gradient of θ and all that the GPU "
          "may wait for the host.")


main()

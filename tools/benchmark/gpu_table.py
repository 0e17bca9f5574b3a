"""Prints the tables of tools/benchmark/gpu.sh and tools/gpu_check.sh from the figures they kept.

usage: gpu_table.py FIGURES.json      see figures.py; what failed or is missing is a dash

Exit status 1 where none of ours is there.
"""

import json
import sys
from datetime import date
from pathlib import Path

from table import against, milliseconds


def compare(ours, theirs):
    """PyTorch's columns: eager as published, and the fastest compiled, each with its ratio."""
    modes = {run["mode"]: run["seconds"] for run in theirs if "seconds" in run}
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


def named(figures, kind, **members):
    """The figures of a kind that have these members."""
    return [figure for figure in figures if figure.get("figure") == kind
            and all(figure.get(key) == value for key, value in members.items())]


def version(figures):
    found = named(figures, "device")
    return found[0].get("version", "?") if found else "not measured"


def precision_of(figure):
    toy = figure.get("network") == "toy" or figure.get("experiment", "").startswith("gmm")
    return "fp32" if toy else figure["precision"]


def step_rows(ours, pytorch, jax, limits):
    for step in named(ours, "step"):
        row = [step["network"], str(step["batch"]), precision_of(step)]
        if "seconds" not in step:
            yield [*row, "failed", *["–"] * 6]
            continue
        same = {key: step[key] for key in ("network", "batch")}
        theirs = [run for run in named(pytorch, "step", **same)
                  if step["network"] == "toy" or run["precision"] == step["precision"]]
        chains = [run["seconds"] for run in named(jax, "step", **same) if "seconds" in run]
        yield [*row, milliseconds(step["seconds"]), *compare(step["seconds"], theirs),
               against(step["seconds"], min(chains)) if chains else "–",
               *share_of_limit(step, limits)]


def iteration_rows(ours, pytorch):
    for run in named(ours, "iteration"):
        row = [run["experiment"], precision_of(run)]
        if "seconds" not in run:
            yield [*row, "failed", *["–"] * 4]
            continue
        theirs = [other for other in named(pytorch, "iteration", experiment=run["experiment"])
                  if precision_of(run) == precision_of(other)]
        outside = max(0.0, 1 - run["seconds_of_steps"] / run["seconds"])
        yield [*row, milliseconds(run["seconds"]), *compare(run["seconds"], theirs), f"{outside:.1%}"]


def main():
    figures = json.loads(Path(sys.argv[1]).read_text())["figures"]
    ours, pytorch, jax = (figures.get(name, []) for name in ("ebm", "pytorch", "jax"))
    device = named(ours, "device")
    if not device:
        return 1
    limits = {limit["name"]: limit["value"] for limit in named(ours, "limit") if "value" in limit}
    peaks = ", ".join(f"{limits[name] / 1e12:.0f} TFLOP/s {name}"
                      for name in ("fp32", "tf32", "bf16") if name in limits)
    bandwidth = f", {limits['bandwidth'] / 1e12:.2f} TB/s" if "bandwidth" in limits else ""
    print(f"{device[0]['name']}, {date.today()}: {peaks or 'limits not measured'}{bandwidth}; "
          f"PyTorch {version(pytorch)}; JAX {version(jax)}.\n")

    columns = ["PyTorch eager", "best compiled", "its mode"]
    print_table(["one Langevin step", "batch", "precision", "ebm", *columns, "JAX", "TFLOP/s",
                 "of peak"], step_rows(ours, pytorch, jax, limits))
    print_table(["one iteration", "precision", "ebm", *columns, "outside its steps"],
                iteration_rows(ours, pytorch))
    print("Outside its steps: the share of an iteration's time that its Langevin steps alone, one "
          "after the other\nby the GPU's clock, do not fill: the gradient of θ and all that the GPU "
          "may wait for the host.")
    if figures.get("kernels"):
        print()
        print_table(["kernel", "grid", "network", "launches", "µs"],
                    [[kernel["kernel"][:60].replace("|", "/"), kernel["grid"], kernel["network"],
                      str(kernel["launches"]), f"{kernel['mean_us']:.1f}"]
                     for kernel in figures["kernels"] if "kernel" in kernel])
    return 0


sys.exit(main())

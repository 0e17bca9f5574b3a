"""Prints the tables of tools/benchmark/gpu.sh and tools/gpu_check.sh from the figures they kept.

usage: gpu_table.py FIGURES.json      see figures.py; what failed or is missing is a dash

Exit status 1 where none of ours is there.
"""

import json
import sys
from datetime import date
from pathlib import Path

from experiments import duration, published, seconds_of
from kernel_names import short_name
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


def measured(figures, precision, is_mode=lambda mode: True):
    """What was timed at a precision, in the fastest of these of PyTorch's modes."""
    best = {}
    for figure in named(figures, "step") + named(figures, "iteration"):
        if ("seconds" in figure and precision_of(figure) == precision
                and is_mode(figure.get("mode"))):
            what = tuple(figure.get(key) for key in ("network", "batch", "experiment"))
            if what not in best or figure["seconds"] < best[what]["seconds"]:
                best[what] = figure
    return list(best.values())


def at_full_length(experiment, experiments, figures, outside):
    """The time that an experiment takes by some figures. An iteration that is not among them is its
    steps, and what is known to be outside them."""
    steps = {figure["batch"]: figure["seconds"]
             for figure in named(figures, "step", network=experiment.network)}
    if experiment.batch not in steps:
        return "–"
    alike = [other.name for other in experiments if other.iteration == experiment.iteration]
    iterations = [figure["seconds"] for figure in named(figures, "iteration")
                  if figure["experiment"] in alike]
    if not iterations:
        known = [outside[name] for name in alike if name in outside]
        iterations = [experiment.steps * steps[experiment.batch] + min(known, default=0)]
    return duration(seconds_of(experiment, min(iterations), steps))


def experiment_columns(ours, pytorch):
    """(its head, its figures) of each column."""
    precisions = ("fp32", "tf32", "bf16")
    for precision in precisions:
        yield f"ebm, {precision}", measured(ours, precision)
    for precision in precisions:
        yield f"PyTorch eager, {precision}", measured(pytorch, precision, "eager".__eq__)
        yield (f"compiled, {precision}",
               measured(pytorch, precision, lambda mode: mode.startswith("compiled")))


def print_experiments(ours, pytorch):
    experiments = published()
    outside = {run["experiment"]: max(0.0, run["seconds"] - run["seconds_of_steps"])
               for run in named(ours, "iteration") if "seconds" in run}
    columns = {head: [at_full_length(experiment, experiments, figures, outside)
                      for experiment in experiments]
               for head, figures in experiment_columns(ours, pytorch)}
    columns = {head: cells for head, cells in columns.items() if set(cells) != {"–"}}
    if not columns:
        return
    print_table(["experiment", "iterations × steps", *columns],
                [[f"`{experiment.name}`", f"{experiment.iterations:,} × {experiment.steps}",
                  *(cells[at] for cells in columns.values())]
                 for at, experiment in enumerate(experiments)])
    print("At full length, by arithmetic: iterations × an iteration, long runs × their steps, and "
          "landscapes'\nchains at the speed of the largest batch above. An iteration that was not "
          "measured is its steps, and\nours what is outside them at another precision. Landscapes' "
          "densities and pictures are left out.\n")


def print_kernels(kernels, ours):
    """A table of each step that was profiled; what a library calls its kernel is made short."""
    def of(kernel):
        return tuple(kernel[key] for key in ("network", "precision", "batch"))

    for profiled in dict.fromkeys(of(kernel) for kernel in kernels):
        times = [(kernel, kernel["launches"] / kernel["steps"]) for kernel in kernels
                 if of(kernel) == profiled]
        total = sum(kernel["mean_us"] * launches for kernel, launches in times)
        network, precision, batch = profiled
        whole = [step["seconds"] for step in named(ours, "step", network=network, batch=batch,
                                                   precision=precision) if "seconds" in step]
        print(f"Kernels of a step of {network}, {precision}, batch {batch}: {total:.0f} µs in all; "
              f"the step takes {f'{whole[0] * 1e6:.0f} µs' if whole else 'an unknown time'}.\n")
        print_table(["kernel", "grid", "launches a step", "µs each", "µs a step", "of all"],
                    [[short_name(kernel["kernel"]).replace("|", "/"), kernel["grid"],
                      f"{launches:.3g}", f"{kernel['mean_us']:.1f}",
                      f"{kernel['mean_us'] * launches:.1f}",
                      f"{kernel['mean_us'] * launches / total:.1%}"]
                     for kernel, launches in sorted(
                         times, key=lambda entry: -entry[0]["mean_us"] * entry[1])])


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
    print(f"{device[0]['name']}, {date.today()}: {peaks or 'limits not measured'}{bandwidth};\n"
          f"PyTorch {version(pytorch)}; JAX {version(jax)}.\n")

    columns = ["PyTorch eager", "best compiled", "its mode"]
    print_table(["one Langevin step", "batch", "precision", "ebm", *columns, "JAX", "TFLOP/s",
                 "of peak"], step_rows(ours, pytorch, jax, limits))
    print_table(["one iteration", "precision", "ebm", *columns, "outside its steps"],
                iteration_rows(ours, pytorch))
    print("Outside its steps: the share of an iteration's time that its Langevin steps alone, one "
          "after the\nother by the GPU's clock, do not fill: the gradient of θ and all that the "
          "GPU may wait for the host.\n")
    print_experiments(ours, pytorch)
    print_kernels([kernel for kernel in figures.get("kernels", []) if "kernel" in kernel], ours)
    return 0


sys.exit(main())

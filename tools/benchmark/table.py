"""Prints the table of tools/benchmark/run.sh from what both programs measured.

usage: table.py EBM.json PYTORCH.json      the second may not exist
"""

import json
import sys
from datetime import date
from pathlib import Path


def fastest(benchmarks):
    """The least time of every benchmark's repetitions: {name: (seconds, counters)}."""
    best = {}
    for run in benchmarks:
        if run["run_type"] != "iteration":
            continue
        name = run["run_name"].split("/min_time")[0]
        seconds = run["real_time"] * 1e-3
        if name not in best or seconds < best[name][0]:
            best[name] = (seconds, run)
    return best


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown processor"


def milliseconds(seconds):
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def against(ours, theirs):
    return f"{milliseconds(theirs)} ({theirs / ours:.1f}×)"


def main():
    ours = fastest(json.loads(Path(sys.argv[1]).read_text())["benchmarks"])
    pytorch = {"version": None, "times": []}
    if Path(sys.argv[2]).exists():
        pytorch = json.loads(Path(sys.argv[2]).read_text())

    peaks = {name: run["operations"] / seconds
             for name, (seconds, run) in ours.items() if name.startswith("peak/")}
    peak_name = max(peaks, key=lambda name: int(name.split("/")[1]))
    seconds, run = ours["bandwidth"]
    print(f"{processor()}, {peak_name.split('/')[1]} threads, {date.today()}: "
          f"{peaks['peak/1'] / 1e9:.0f} GFLOP/s on one thread, {peaks[peak_name] / 1e9:.0f} on all, "
          f"{run['bytes'] / seconds / 1e9:.0f} GB/s; PyTorch {pytorch['version'] or 'not installed'}."
          "\n")
    print("| | batch | ebm | PyTorch eager | PyTorch's fastest | its mode | GFLOP/s | of peak |")
    print("|---|---:|---:|---:|---:|---|---:|---:|")
    for name, (seconds, run) in ours.items():
        what, *rest = name.split("/")
        if what not in ("step", "iteration"):
            continue
        network, batch = rest
        steps = run["steps"]
        ours_seconds = seconds / steps if what == "step" else seconds
        row = [network + (", step" if what == "step" else f", iteration of {steps:.0f} steps"),
               batch, milliseconds(ours_seconds)]
        theirs = {t["mode"]: t[what] for t in pytorch["times"]
                  if t["network"] == network and t["batch"] == int(batch)}
        if theirs:
            mode = min(theirs, key=theirs.get)
            eager = against(ours_seconds, theirs["eager"]) if "eager" in theirs else "failed"
            row += [eager, against(ours_seconds, theirs[mode]), mode]
        else:
            row += ["not installed" if pytorch["version"] is None else "failed", "–", "–"]
        if what == "step":
            speed = run["operations"] / ours_seconds
            row += [f"{speed / 1e9:.0f}", f"{speed / peaks[peak_name]:.0%}"]
        else:
            row += ["", ""]
        print("| " + " | ".join(row) + " |")
    seconds, run = ours["annealing/toy/1000"]
    print(f"\nAnnealed importance sampling of 1000 toy chains over {run['temperatures']:.0f} "
          f"temperatures: {seconds:.3g} s.")


if __name__ == "__main__":
    main()

"""The published experiments, configs/*.yaml, and how long each takes at its full length."""

import re
from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


class Experiment:
    """What of a configuration decides how long it takes; the shipped ones have a section a line."""

    def __init__(self, file):
        sections = {}
        for line in file.read_text().splitlines():
            found = re.match(r"(\w+):\s*\{(.*)\}", line)
            if found:
                sections[found[1]] = dict(re.findall(r"(\w+): ([^,{}]+)", found[2]))
        self.name = file.stem
        self.network = sections["network"]["kind"]
        self.steps = int(sections["langevin"]["steps"])
        self.iterations = int(sections["train"]["iterations"])
        self.batch = int(sections["train"]["batch_size"])
        # Those that are alike in this have iterations that take equally long.
        self.iteration = (self.network, sections["data"].get("channels"), self.steps, self.batch,
                          sections["langevin"]["init"], sections["optimizer"]["kind"])
        longrun, landscape = sections.get("longrun"), sections.get("landscape")
        self.long_runs = self.iterations // int(longrun["every"]) if longrun else 0
        self.long_steps = int(longrun["steps"]) if longrun else 0
        self.landscapes = self.iterations // int(landscape["every"]) if landscape else 0
        self.landscape_chains = int(landscape["chains"]) if landscape else 0


def published():
    return [Experiment(file) for file in sorted(CONFIGS.glob("*.yaml")) if file.stem != "reference"]


def duration(seconds):
    """In words, with two digits."""
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= 2 * unit or unit == 1:
            count = seconds / unit
            return f"{count:.0f} {name}" if count >= 9.95 else f"{count:.1f} {name}"


def seconds_of(experiment, iteration, steps):
    """All of an experiment, by the seconds of an iteration and those of a step, {batch: seconds}. A
    landscape's chains, more than any batch, take as long a chain as those of the largest."""
    learning = experiment.iterations * iteration
    long_runs = experiment.long_runs * experiment.long_steps * steps[experiment.batch]
    most = max(steps)
    landscape = experiment.landscape_chains / most * experiment.steps * steps[most]
    return learning + long_runs + experiment.landscapes * landscape

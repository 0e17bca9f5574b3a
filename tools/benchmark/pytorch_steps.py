"""Times PyTorch's Langevin step and training iteration of the published networks on the CPU.

A step is the published code's: the gradient of f.sum() with respect to the states, then
x.data += -gradient + epsilon * randn_like(x), and the mean norm of the gradient added to r_s. The
modes differ in how the network is run; each is warmed up before it is timed, and the least of
several times counts, as for our own program.

usage: pytorch_steps.py THREADS BATCH[,BATCH...] OUTPUT.json
"""

import json
import sys
import time
from pathlib import Path

import torch
from torch import nn

EPSILON = 0.01
STEPS_IN_ITERATION = {"toy": 500, "vanilla": 20, "nonlocal": 20}  # as in ebm_benchmark.cpp
STATE = {"toy": (2, 1, 1), "vanilla": (3, 32, 32), "nonlocal": (3, 32, 32)}
LEAST_SECONDS = 0.25  # of a repetition, again as there
REPETITIONS = {"step": 7, "iteration": 3}


def leaky():
    return nn.LeakyReLU(0.05)


class Nonlocal(nn.Module):
    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.theta = nn.Conv2d(channels, half, 1)
        self.phi = nn.Sequential(nn.Conv2d(channels, half, 1), nn.MaxPool2d(2))
        self.g = nn.Sequential(nn.Conv2d(channels, half, 1), nn.MaxPool2d(2))
        self.W = nn.Conv2d(half, channels, 1)

    def forward(self, x):
        batch, _, height, width = x.shape
        theta = self.theta(x).flatten(2).transpose(1, 2)
        phi = self.phi(x).flatten(2)
        g = self.g(x).flatten(2).transpose(1, 2)
        attention = torch.softmax(theta @ phi, dim=-1)
        y = (attention @ g).transpose(1, 2).reshape(batch, -1, height, width)
        return x + self.W(y)


def make_network(name, channels=None):
    channels = channels or STATE[name][0]
    n = 32
    if name == "toy":
        widths = [channels, n, 2 * n, 2 * n, 2 * n, 1]
        layers = []
        for inputs, outputs in zip(widths, widths[1:]):
            layers += [nn.Conv2d(inputs, outputs, 1), leaky()]
        return nn.Sequential(*layers[:-1])
    if name == "vanilla":
        return nn.Sequential(
            nn.Conv2d(channels, n, 3, 1, 1), leaky(),
            nn.Conv2d(n, 2 * n, 4, 2, 1), leaky(),
            nn.Conv2d(2 * n, 4 * n, 4, 2, 1), leaky(),
            nn.Conv2d(4 * n, 8 * n, 4, 2, 1), leaky(),
            nn.Conv2d(8 * n, 1, 4, 1, 0),
        )
    return nn.Sequential(
        nn.Conv2d(channels, n, 3, 1, 1), leaky(), nn.MaxPool2d(2),
        Nonlocal(n), nn.Conv2d(n, 2 * n, 3, 1, 1), leaky(), nn.MaxPool2d(2),
        Nonlocal(2 * n), nn.Conv2d(2 * n, 4 * n, 3, 1, 1), leaky(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(4 * n * 4 * 4, 8 * n), leaky(), nn.Linear(8 * n, 1),
    )


def uncompiled_gradient(network):
    return lambda x: torch.autograd.grad(network(x).sum(), [x])[0]


def compiled_gradient(network):
    """The whole gradient as one compiled function of the states and of theta, so that no gradient
    of theta is computed and a new theta needs no new compilation."""
    theta = dict(network.named_parameters())

    def energy(x, parameters):
        return torch.func.functional_call(network, parameters, (x,)).sum()

    compiled = torch.compile(torch.func.grad(energy))

    def gradient(x):
        with torch.no_grad():
            return compiled(x, theta)

    return gradient


def langevin(gradient, x, steps):
    r_s = torch.zeros(1)
    for _ in range(steps):
        g = gradient(x)
        x.data += -g + EPSILON * torch.randn_like(x)
        r_s += g.reshape(g.shape[0], -1).norm(dim=1).mean()
    return r_s / steps


class Mode:
    def __init__(self, name, batch, compiled, channels_last):
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        torch.manual_seed(1)
        self.network = make_network(name).to(memory_format=self.layout)
        self.shape = (batch, *STATE[name])
        make = compiled_gradient if compiled else uncompiled_gradient
        self.gradient = make(self.network)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-4)
        self.data = self.states()

    def states(self):
        return torch.empty(self.shape).uniform_(-1, 1).to(memory_format=self.layout)

    def steps(self, count):
        x = self.states().requires_grad_(True)
        return langevin(self.gradient, x, count)

    def iteration(self, count):
        x = self.states().requires_grad_(True)
        langevin(self.gradient, x, count)
        d_s = self.network(self.data).mean() - self.network(x.detach()).mean()
        self.optimizer.zero_grad()
        (d_s * (2 / EPSILON**2)).backward()
        self.optimizer.step()


def seconds(work, repetitions):
    """The least seconds of work(), of several times."""
    work()
    begin = time.perf_counter()
    work()
    calls = max(1, round(LEAST_SECONDS / (time.perf_counter() - begin)))
    best = float("inf")
    for _ in range(repetitions):
        begin = time.perf_counter()
        for _ in range(calls):
            work()
        best = min(best, (time.perf_counter() - begin) / calls)
    return best


def measure(name, batch, mode, compiled, channels_last):
    torch._dynamo.reset()
    run = Mode(name, batch, compiled, channels_last)
    steps = 50 if name == "toy" else 2
    steps_in_iteration = STEPS_IN_ITERATION[name]
    return {
        "network": name,
        "batch": batch,
        "mode": mode,
        "step": seconds(lambda: run.steps(steps), REPETITIONS["step"]) / steps,
        "iteration": seconds(
            lambda: run.iteration(steps_in_iteration), REPETITIONS["iteration"]),
    }


def main():
    threads, batches, output = int(sys.argv[1]), sys.argv[2].split(","), Path(sys.argv[3])
    torch.set_num_threads(threads)
    times = []
    for name in STATE:
        for batch in map(int, batches):
            for compiled in (False, True):
                for channels_last in (False, True):
                    mode = ("compiled" if compiled else "eager") + (
                        ", channels last" if channels_last else "")
                    if name == "toy" and channels_last:
                        continue  # one pixel: no layouts to choose from
                    try:
                        times.append(measure(name, batch, mode, compiled, channels_last))
                    except Exception as error:  # a mode that a version cannot run is left out
                        print(name, batch, mode, repr(error), file=sys.stderr)
                        continue
                    print(times[-1], file=sys.stderr, flush=True)
    output.write_text(json.dumps({"version": torch.__version__, "times": times}, indent=1))


if __name__ == "__main__":
    main()

"""Times PyTorch's Langevin step and training iteration of the published networks on the GPU.

Eager is the published code's step: the gradient of f.sum() with respect to the states, then
x.data += -gradient + epsilon * randn_like(x), and the mean norm of the gradient added to r_s.
Compiled is all of that as one function by torch.compile(mode="max-autotune"), which measures its
kernels and runs them as a CUDA graph. Both with channels last too, where there are pixels. Each is
warmed up; the median of several times counts, by CUDA's events, as for our own program.

Each figure is printed the moment it is known, one JSON object a line; a mode that a version cannot
run has "error" instead of seconds. Exit status: 0, 77 there is no GPU that PyTorch sees.

usage: pytorch_gpu_steps.py BATCH[,BATCH...] PRECISION[,PRECISION...] [--networks NAME,...]
           [--experiments NAME,...] [--modes MODE;MODE...] [--device DEVICE]
"""

import argparse
import json
import sys
import time
from contextlib import nullcontext
from statistics import median

import torch
from pytorch_steps import EPSILON, STATE, make_network

STEPS_AT_ONCE = 50
REPETITIONS = {"step": 7, "iteration": 3}
BATCH_OF_ITERATION = 100
MODES = {  # how torch.compile is called, if at all, and whether channels come last
    "eager": (None, False),
    "eager, channels last": (None, True),
    "compiled": ("max-autotune", False),
    "compiled, channels last": ("max-autotune", True),
    "compiled, reduce-overhead": ("reduce-overhead", False),  # CUDA graphs, and nothing measured
}
# As in gpu_benchmark.cpp: network, channels, steps, optimizer.
EXPERIMENTS = {
    "gmm_convergent": ("toy", 2, 500, torch.optim.SGD),
    "gmm_nonconvergent": ("toy", 2, 100, torch.optim.Adam),
    "mnist_convergent": ("nonlocal", 1, 500, torch.optim.SGD),
    "cifar10_nonconvergent": ("vanilla", 3, 150, torch.optim.Adam),
    "cifar10_oscillate": ("vanilla", 3, 500, torch.optim.Adam),
    "flowers_convergent": ("nonlocal", 3, 500, torch.optim.SGD),
}


def set_precision(precision):
    tf32 = precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True


class Timed:
    """A network with its states, run in one way."""

    def __init__(self, name, channels, batch, precision, compiled, channels_last, device):
        set_precision(precision)
        torch.manual_seed(1)
        self.device = device
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.network = make_network(name, channels).to(device, memory_format=self.layout)
        self.shape = (batch, channels, *STATE[name][1:])
        self.low = precision == "bf16"
        self.step = self.compiled_step(compiled) if compiled else self.eager_step

    def autocast(self):
        return torch.autocast(self.device, torch.bfloat16) if self.low else nullcontext()

    def states(self):
        x = torch.empty(self.shape, device=self.device).uniform_(-1, 1)
        return x.to(memory_format=self.layout)

    def eager_step(self, x):
        x.requires_grad_(True)
        with self.autocast():
            f = self.network(x).sum()
        g = torch.autograd.grad(f, [x])[0]
        x.data += -g + EPSILON * torch.randn_like(x)
        return g.reshape(g.shape[0], -1).norm(dim=1).mean()

    def compiled_step(self, mode):
        """theta is an argument, so that a new one needs no new compilation; but it stays where it
        is, so that a CUDA graph need not copy it."""
        theta = dict(self.network.named_parameters())
        for tensor in theta.values():
            torch._dynamo.mark_static_address(tensor)

        def energy(x, parameters):
            return torch.func.functional_call(self.network, parameters, (x,)).sum()

        def step(x, parameters):
            g = torch.func.grad(energy)(x, parameters)
            moved = x - g + EPSILON * torch.randn_like(x)
            return moved, g.reshape(g.shape[0], -1).norm(dim=1).mean()

        fused = torch.compile(step, mode=mode)

        def run(x):
            torch.compiler.cudagraph_mark_step_begin()
            with torch.no_grad(), self.autocast():
                moved, norm = fused(x, theta)
                x.data.copy_(moved)
                return norm.clone()  # the graph's memory is written anew by its next run

        return run

    def steps(self, x, count):
        r_s = torch.zeros((), device=self.device)
        for _ in range(count):
            r_s += self.step(x)
        return r_s / count

    def iteration(self, count, optimizer, data):
        x = self.states()
        self.steps(x, count)
        with self.autocast():
            d_s = self.network(data).mean() - self.network(x.detach()).mean()
        optimizer.zero_grad()
        (d_s * (2 / EPSILON**2)).backward()
        optimizer.step()


def seconds(device, work, repetitions):
    """The median seconds of work(), once it is warm."""
    for _ in range(2):
        work()
    times = []
    for _ in range(repetitions):
        if device == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            begin.record()
            work()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end) * 1e-3)
        else:
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    return median(times)


def runs_in(network, mode):
    return network != "toy" or "channels last" not in mode  # one pixel: no layouts to choose from


def attempt(what, work):
    """Prints the figure, with the seconds that work() returns or why it could not."""
    torch._dynamo.reset()
    try:
        what["seconds"] = work()
    except Exception as error:
        what["error"] = repr(error)[:500]
    print(json.dumps(what), flush=True)


def time_step(name, batch, precision, mode, device):
    steps = STEPS_AT_ONCE if device == "cuda" else 1

    def work():
        run = Timed(name, STATE[name][0], batch, precision, *MODES[mode], device)
        x = run.states()
        return seconds(device, lambda: run.steps(x, steps), REPETITIONS["step"]) / steps

    attempt({"figure": "step", "network": name, "batch": batch, "precision": precision,
             "mode": mode}, work)


def time_iteration(experiment, precision, mode, device):
    name, channels, steps, optimizer = EXPERIMENTS[experiment]
    if device != "cuda":
        steps = max(1, steps // 100)

    def work():
        run = Timed(name, channels, BATCH_OF_ITERATION, precision, *MODES[mode], device)
        optimize = optimizer(run.network.parameters(), lr=1e-9)
        data = run.states()
        return seconds(device, lambda: run.iteration(steps, optimize, data),
                       REPETITIONS["iteration"])

    attempt({"figure": "iteration", "experiment": experiment, "precision": precision,
             "mode": mode}, work)


def arguments():
    def names(known, separator=","):
        def parse(text):
            words = [word for word in text.split(separator) if word]
            unknown = set(words) - set(known)
            if unknown:
                raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
            return words
        return parse

    parser = argparse.ArgumentParser()
    parser.add_argument("batches", type=lambda text: [int(word) for word in text.split(",")])
    parser.add_argument("precisions", type=names(["fp32", "tf32", "bf16"]))
    parser.add_argument("--networks", type=names(STATE), default=list(STATE))
    parser.add_argument("--experiments", type=names(EXPERIMENTS), default=list(EXPERIMENTS))
    parser.add_argument("--modes", type=names(MODES, ";"), default=list(MODES)[:4])
    parser.add_argument("--device", default="cuda")
    return parser.parse_args()


def main():
    asked = arguments()
    if asked.device == "cuda" and not torch.cuda.is_available():
        print(f"PyTorch {torch.__version__} of {sys.executable} sees no GPU", file=sys.stderr)
        sys.exit(77)
    name = torch.cuda.get_device_name() if asked.device == "cuda" else asked.device
    print(json.dumps({"figure": "device", "name": name, "version": torch.__version__}), flush=True)
    for precision in asked.precisions:
        first = precision == asked.precisions[0]  # ours of the toy network is float32 always
        for mode in asked.modes:
            for network in asked.networks:
                if runs_in(network, mode) and (first or network != "toy"):
                    for batch in asked.batches:
                        time_step(network, batch, precision, mode, asked.device)
            for experiment in asked.experiments:
                network = EXPERIMENTS[experiment][0]
                if runs_in(network, mode) and (first or network != "toy"):
                    time_iteration(experiment, precision, mode, asked.device)


if __name__ == "__main__":
    main()

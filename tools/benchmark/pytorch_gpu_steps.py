"""Times PyTorch's Langevin step and training iteration of the published networks on the GPU.

Eager is the published code's step: the gradient of f.sum() with respect to the states, then
x.data += -gradient + epsilon * randn_like(x), and the mean norm of the gradient added to r_s.
Compiled is all of that as one function by torch.compile(mode="max-autotune"), which measures its
kernels and runs them as a CUDA graph. Both with channels last too, where there are pixels. Each is
warmed up; the median of several times counts, by CUDA's events, as for our own program.

usage: pytorch_gpu_steps.py BATCH[,BATCH...] PRECISION[,PRECISION...] OUTPUT.json [DEVICE]
"""

import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from statistics import median

import torch
from pytorch_steps import EPSILON, STATE, make_network

STEPS_AT_ONCE = 50
REPETITIONS = {"step": 7, "iteration": 3}
BATCH_OF_ITERATION = 100
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
        self.step = self.compiled_step() if compiled else self.eager_step

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

    def compiled_step(self):
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

        fused = torch.compile(step, mode="max-autotune")

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


def modes(name):
    for compiled in (False, True):
        for channels_last in (False, True):
            if name != "toy" or not channels_last:  # one pixel: no layouts to choose from
                label = "compiled" if compiled else "eager"
                yield label + (", channels last" if channels_last else ""), compiled, channels_last


def time_steps(name, batch, precision, device, steps):
    for mode, compiled, channels_last in modes(name):
        torch._dynamo.reset()

        def work():
            channels = STATE[name][0]
            run = Timed(name, channels, batch, precision, compiled, channels_last, device)
            x = run.states()
            took = seconds(device, lambda: run.steps(x, steps), REPETITIONS["step"]) / steps
            return {"network": name, "batch": batch, "precision": precision, "mode": mode,
                    "seconds": took}

        yield from attempt(work, name, batch, precision, mode)


def time_iterations(experiment, precision, device, share):
    name, channels, steps, optimizer = EXPERIMENTS[experiment]
    for mode, compiled, channels_last in modes(name):
        torch._dynamo.reset()

        def work():
            batch = BATCH_OF_ITERATION
            run = Timed(name, channels, batch, precision, compiled, channels_last, device)
            optimize = optimizer(run.network.parameters(), lr=1e-9)
            data = run.states()
            took = seconds(device, lambda: run.iteration(max(1, steps // share), optimize, data),
                           REPETITIONS["iteration"])
            return {"experiment": experiment, "precision": precision, "mode": mode,
                    "seconds": took}

        yield from attempt(work, experiment, precision, mode)


def attempt(work, *what):
    """A mode that a version cannot run is left out."""
    try:
        result = work()
    except Exception as error:
        print(*what, repr(error)[:500], file=sys.stderr, flush=True)
        return
    print(result, file=sys.stderr, flush=True)
    yield result


def main():
    batches, precisions, output = sys.argv[1].split(","), sys.argv[2].split(","), Path(sys.argv[3])
    device = sys.argv[4] if len(sys.argv) > 4 else "cuda"
    steps, share = (STEPS_AT_ONCE, 1) if device == "cuda" else (1, 100)
    measured = {
        "version": torch.__version__,
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "steps": [],
        "iterations": [],
    }

    def keep(kind, results):
        for result in results:  # what there is when time is up is not lost
            measured[kind].append(result)
            output.write_text(json.dumps(measured, indent=1))

    for precision in precisions:
        for name in STATE:
            if name != "toy" or precision == precisions[0]:  # ours is float32 always
                for batch in map(int, batches):
                    keep("steps", time_steps(name, batch, precision, device, steps))
        for experiment, (name, *_) in EXPERIMENTS.items():
            if name != "toy" or precision == precisions[0]:
                keep("iterations", time_iterations(experiment, precision, device, share))


if __name__ == "__main__":
    main()

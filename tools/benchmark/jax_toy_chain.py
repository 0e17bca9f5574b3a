"""Times JAX's Langevin chain of the toy network on the GPU: all steps of a chain are one compiled
loop (jit of a lax.scan), as they are one kernel of ours.

A step is the published code's: the gradient of f(x).sum() with respect to the states, then
x - gradient + epsilon * normal, and the mean norm of the gradient, which is summed. Arithmetic is
float32's, ours of this network too (JAX's own choice would be tf32). JAX's slow and its fast random
numbers are both timed, and the loop as it is and unrolled. Each is warmed up; the median counts.
Each figure is printed the moment it is known, one JSON object a line.
Exit status: 0, 77 there is no GPU that JAX sees.

usage: jax_toy_chain.py BATCH[,BATCH...] [STEPS [DEVICE]]     [500, gpu]
"""

import functools
import json
import os
import sys
import time
from statistics import median

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp

EPSILON = 0.125
WIDTHS = [2, 32, 64, 64, 64, 1]
REPETITIONS = 9


def parameters(key):
    layers = []
    for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
        key, mine = jax.random.split(key)
        bound = inputs**-0.5
        layers.append((jax.random.uniform(mine, (inputs, outputs), minval=-bound, maxval=bound),
                       jnp.zeros(outputs)))
    return layers


def energy(x, theta):
    for weight, bias in theta[:-1]:
        x = x @ weight + bias
        x = jnp.where(x > 0, x, 0.05 * x)
    weight, bias = theta[-1]
    return (x @ weight + bias).sum()


@functools.partial(jax.jit, static_argnums=(3, 4))
def chain(x, theta, key, steps, unroll):
    def step(x, key):
        g = jax.grad(energy)(x, theta)
        x = x - g + EPSILON * jax.random.normal(key, x.shape)
        return x, jnp.linalg.norm(g, axis=1).mean()

    x, norms = jax.lax.scan(step, x, jax.random.split(key, steps), unroll=unroll)
    return x, norms.mean()


def seconds(work):
    """The median seconds of work(), once it is warm, by the host's clock: the chain is one call."""
    jax.block_until_ready(work())
    times = []
    for _ in range(REPETITIONS):
        begin = time.perf_counter()
        jax.block_until_ready(work())
        times.append(time.perf_counter() - begin)
    return median(times)


def time_chain(batch, steps, numbers, unroll):
    figure = {"figure": "step", "network": "toy", "batch": batch, "precision": "fp32",
              "mode": f"jit, {numbers}" + (f", unrolled {unroll} times" if unroll > 1 else ""),
              "steps": steps}
    try:
        key = jax.random.key(1, impl=numbers)
        theta = parameters(jax.random.key(2))
        x = jax.random.uniform(jax.random.key(3), (batch, 2), minval=-1, maxval=1)
        figure["seconds"] = seconds(lambda: chain(x, theta, key, steps, unroll)) / steps
    except Exception as error:  # a version may not know it
        figure["error"] = repr(error)[:500]
    print(json.dumps(figure), flush=True)


def main():
    batches = [int(word) for word in sys.argv[1].split(",")]
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    platform = sys.argv[3] if len(sys.argv) > 3 else "gpu"
    try:
        device = jax.devices(platform)[0]
    except RuntimeError as error:
        print(f"JAX {jax.__version__} of {sys.executable} sees no {platform}: "
              f"{str(error).splitlines()[0]}", file=sys.stderr)
        sys.exit(77)
    print(json.dumps({"figure": "device", "name": device.device_kind, "version": jax.__version__}),
          flush=True)
    jax.config.update("jax_default_matmul_precision", "highest")
    with jax.default_device(device):
        for batch in batches:
            for numbers in ("threefry2x32", "rbg"):
                for unroll in (1, 10):
                    time_chain(batch, steps, numbers, unroll)


if __name__ == "__main__":
    main()

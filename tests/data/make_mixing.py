"""Makes mixing.safetensors: chains, and what ArviZ 0.23 says of them. Needs arviz and safetensors.
usage: python3 make_mixing.py mixing.safetensors"""

import sys

import arviz
import numpy as np
from arviz.stats.diagnostics import _rhat, _split_chains, _z_scale
from safetensors.numpy import save_file

rng = np.random.default_rng(20210)


def autoregressive(chains: int, draws: int, rho: float) -> np.ndarray:
    x = rng.standard_normal((chains, draws))
    for t in range(1, draws):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho * rho) * x[:, t]
    return x


def rhat(values: np.ndarray) -> float:
    """arviz.rhat, which wants two chains, where the halves of one are two."""
    halves = _split_chains(values)
    folded = np.abs(halves - np.median(halves))
    found = max(_rhat(_z_scale(halves)), _rhat(_z_scale(folded)))
    if len(values) > 1:
        assert found == arviz.rhat(values, method="rank")
    return found


cases = {
    "mixed": autoregressive(4, 500, 0.5),
    "slow": autoregressive(6, 401, 0.98),
    "one_chain": autoregressive(1, 300, 0.8),
    "antithetic": autoregressive(4, 250, -0.7),
    "apart": autoregressive(4, 200, 0.3) + np.array([[0], [0], [0], [1.5]]),
    "wide": autoregressive(4, 200, 0.3) * np.array([[1], [1], [1], [4]]),
    "drifting": autoregressive(4, 200, 0.3) + np.linspace(0, 3, 200),
    "cauchy": rng.standard_cauchy((5, 200)),
    "tied": np.round(autoregressive(3, 300, 0.6)),
    "shortest": rng.standard_normal((3, 4)),
}
tensors = {}
for name, chains in cases.items():
    chains = chains.astype(np.float32)
    values = chains.astype(np.float64)
    expected = [
        rhat(values),
        arviz.ess(values, method="bulk"),
        arviz.ess(values, method="tail"),
    ]
    print(name, chains.shape, expected)
    tensors[name] = np.ascontiguousarray(chains.T)
    tensors[name + "_says"] = np.array(expected, dtype=np.float32)
save_file(tensors, sys.argv[1])

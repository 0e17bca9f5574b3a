"""Makes distances.safetensors: data and samples, and what NumPy and SciPy say of them in float64,
by the definitions alone. Needs numpy, scipy and safetensors.
usage: python3 make_distances.py distances.safetensors"""

import sys

import numpy as np
import scipy.linalg
import scipy.stats
from safetensors.numpy import save_file
from scipy.spatial.distance import cdist, pdist

rng = np.random.default_rng(2017)
tensors = {}


def spread(rows: int, scales: np.ndarray) -> np.ndarray:
    """Rows of a Gaussian with a random mean, the scales squared as its covariance's eigenvalues."""
    turn = scipy.stats.ortho_group.rvs(len(scales), random_state=rng)
    values = rng.standard_normal((rows, len(scales))) * scales @ turn
    return (values + rng.standard_normal(len(scales))).astype(np.float32)


def components(name: str, data: np.ndarray, count: int) -> None:
    others = (data[:7] + rng.standard_normal((7, data.shape[1]))).astype(np.float32)
    x = data.astype(np.float64)
    mean = x.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    values, vectors = values[::-1], vectors[:, ::-1]
    rest = values[count:].mean() if count < len(values) else 0.0
    axes = vectors[:, :count]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(count)])
    covariance = axes * (values[:count] - rest) @ axes.T + rest * np.eye(len(values))
    tensors[name] = data
    tensors[name + "_others"] = others
    tensors[name + "_variances"] = np.append(values[:count], rest)
    tensors[name + "_projected"] = (others - mean) @ axes
    law = scipy.stats.multivariate_normal(mean, covariance)
    tensors[name + "_log_densities"] = law.logpdf(others)


def distances(name: str, reference: np.ndarray, samples: np.ndarray, neighbours: int = 3) -> None:
    x, y = reference.astype(np.float64), samples.astype(np.float64)
    n, m = len(x), len(y)

    cx, cy = np.cov(x.T), np.cov(y.T)
    root = scipy.linalg.sqrtm(cx @ cy)
    frechet = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(cx + cy - 2 * root.real)

    some = x[np.arange(min(n, 1000)) * n // min(n, 1000)]
    pairs = np.sort(pdist(some))
    s = pairs[len(pairs) // 2]
    xx, yy, xy = (np.exp(-(cdist(a, b) ** 2) / (2 * s * s)) for a, b in ((x, x), (y, y), (x, y)))
    mmd = (xx.sum() - n) / (n * (n - 1)) + (yy.sum() - m) / (m * (m - 1)) - 2 * xy.mean()
    # E k̃², as expectations over distinct draws: of k², of k k of pairs that share one, of k alone.
    k = xx - np.eye(n)
    kk = k @ k
    square = (k * k).sum() / (n * (n - 1))
    sharing = (kk.sum() - np.trace(kk)) / (n * (n - 1) * (n - 2))
    rows = k.sum(axis=1)
    alone = (k.sum() ** 2 - 4 * (rows * rows).sum() + 2 * (k * k).sum()) / (
        n * (n - 1) * (n - 2) * (n - 3)
    )
    draws = 2 / (n * (n - 1)) + 2 / (m * (m - 1)) + 4 / (n * m)
    error = np.sqrt(draws * (square - 2 * sharing + alone))

    def share(inner: np.ndarray, outer: np.ndarray) -> float:
        radii = np.sort(cdist(outer, outer), axis=1)[:, neighbours]
        return (cdist(inner, outer) <= radii).any(axis=1).mean()

    expected = [frechet, mmd, error, share(y, x), share(x, y)]
    print(name, expected)
    tensors[name] = reference
    tensors[name + "_samples"] = samples
    tensors[name + "_says"] = np.array(expected)


components("plane", spread(50, np.array([2, 0.3])), 2)
components("few", spread(40, np.array([3, 2, 1, 0.5, 0.4])), 3)
components("many", spread(60, np.append(5.0 / np.arange(1, 9), np.full(292, 0.03))), 8)
distances("alike", spread(40, np.ones(3)), spread(50, np.ones(3)))
both = spread(90, np.geomspace(2, 0.1, 6))
distances("one_law", both[:40], both[40:], 5)
distances("narrow", spread(1130, np.ones(2)), np.float32(0.5) * spread(66, np.ones(2)))
distances("flat", spread(20, np.append(np.ones(3), np.zeros(2))), spread(30, np.ones(5)), 1)
save_file({k: np.ascontiguousarray(v, dtype=np.float32) for k, v in tensors.items()}, sys.argv[1])

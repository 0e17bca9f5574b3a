"""What docs/scoring.md says of its Python: its networks give what ebm_score gives, and its images
are those of the stored tensors. Needs PyTorch; page.py is the page's blocks, one after another.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import page
import torch
from PIL import Image
from safetensors.numpy import load_file
from safetensors.torch import save_file

SCORE = Path(os.environ["EBM_PROGRAMS"]) / "ebm_score"
# The list of layers that the page has in PyTorch: docs/training.md's.
LAYERS = """layers: [conv: {outputs: 32, kernel: 3, padding: 1}, leaky_relu, max_pool, nonlocal,
  residual: {layers: [silu, conv: {outputs: 32, kernel: 3, padding: 1}]}, silu,
  avg_pool: {kernel: 4}, flatten, linear: {outputs: 1}]"""
IMAGES = Path(sys.argv[1]) / "tests/data/images.safetensors"


def check_network(name, net, channels, side, metadata=None, wrapper=None):
    """With every weight random, those that start at zero too. The gradients' mean is compared: one
    that jumps, where a LeakyReLU is within rounding of 0, is one of many. With a wrapper, what it
    saves is read."""
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    net.eval()
    x = torch.rand(5, channels, side, side) * 2 - 1
    saved = (net if wrapper is None else wrapper).state_dict()
    save_file({key: value.clone() for key, value in saved.items()}, "page.safetensors", metadata)
    np.save("page_x.npy", x.numpy())
    command = [SCORE, "--checkpoint", "page.safetensors", "--input", "page_x.npy", "--energy",
               "page_f.npy", "--gradient", "page_g.npy"]  # fmt: skip
    if metadata is None:
        command += ["--network", name, "--channels", str(channels)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    x.requires_grad_(True)
    f = net(x).flatten()
    (gradient,) = torch.autograd.grad(f.sum(), x)
    for ours, theirs, bound in ((np.load("page_f.npy"), f.detach().numpy(), 1e-4),
                                (np.load("page_g.npy"), gradient.numpy(), 0.1)):  # fmt: skip
        error = np.linalg.norm(ours - theirs) / np.linalg.norm(ours)
        assert error < bound, f"{name}, {channels} channels: {error} from ebm_score"


torch.manual_seed(1)
check_network("toy", page.Toy(), 2, 1)
for channels in (1, 3):
    check_network("vanilla", page.Vanilla(channels), channels, 32)
    check_network("nonlocal", page.Nonlocal(channels), channels, 32)
check_network("custom", page.net, 1, 16, {"network": "custom", "channels": "1",
                                          "image_size": "16", "layers": LAYERS})  # fmt: skip

for norm in (torch.nn.utils.spectral_norm, torch.nn.utils.parametrizations.spectral_norm):
    net = page.Vanilla(3)
    norm(net.f[0], n_power_iterations=3)
    norm(net.f[4])
    net(torch.rand(2, 3, 32, 32))  # in training, which iterates
    check_network("vanilla", net, 3, 32)
net = page.Nonlocal(1)
for wrapper in (torch.nn.DataParallel(net), torch.compile(net)):
    check_network("nonlocal", net, 1, 32, wrapper=wrapper)
averaged = torch.optim.swa_utils.AveragedModel(net)
check_network("nonlocal", averaged.module, 1, 32, wrapper=averaged)

stored = load_file(IMAGES)
for name in {key.split(".")[0] for key in stored}:
    pixels = stored[f"{name}.pixels"]
    image = Image.fromarray(pixels.squeeze())
    error = np.abs(page.prepare(image, 32, pixels.shape[2]) - stored[f"{name}.prepared"]).max()
    assert error * 127.5 < 1.5, f"{name}: {error * 127.5} levels from the stored tensor"

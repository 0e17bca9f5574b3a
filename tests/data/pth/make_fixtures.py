"""Writes the files beside it with PyTorch and its safetensors package; the tests need neither.

Each NAME.safetensors has the tensors of NAME.zip.pth and NAME.legacy.pth as those libraries write
them. Made with PyTorch 2.15.0 and safetensors 0.8.0.
"""

from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = Path(__file__).parent


def save(name: str, value: object, tensors: dict[str, torch.Tensor]) -> None:
    torch.save(value, FOLDER / f"{name}.zip.pth")
    torch.save(value, FOLDER / f"{name}.legacy.pth", _use_new_zipfile_serialization=False)
    whole = {key: tensor.detach().float().contiguous().clone() for key, tensor in tensors.items()}
    save_file(whole, FOLDER / f"{name}.safetensors")


def toy(features: int) -> nn.Module:
    """The published toy network, which is the attribute f."""
    sizes = [2, features, 2 * features, 2 * features, 2 * features, 1]
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [nn.Conv2d(inputs, outputs, 1), nn.LeakyReLU(0.2)]
    net = nn.Module()
    net.f = nn.Sequential(*layers[:-1])
    return net


def nonlocal_block(channels: int) -> nn.Module:
    block = nn.Module()
    block.g = nn.Sequential(nn.Conv2d(channels, channels // 2, 1), nn.MaxPool2d(2))
    block.W = nn.Conv2d(channels // 2, channels, 1)
    block.theta = nn.Conv2d(channels, channels // 2, 1)
    block.phi = nn.Sequential(nn.Conv2d(channels, channels // 2, 1), nn.MaxPool2d(2))
    return block


def nonlocal_net(channels: int, n: int) -> nn.Module:
    """The published nonlocal network, as far as its state_dict goes."""
    net = nn.Module()
    net.convs = nn.Sequential(
        nn.Conv2d(channels, n, 3, padding=1), nn.LeakyReLU(), nn.MaxPool2d(2), nonlocal_block(n),
        nn.Conv2d(n, 2 * n, 3, padding=1), nn.LeakyReLU(), nn.MaxPool2d(2), nonlocal_block(2 * n),
        nn.Conv2d(2 * n, 4 * n, 3, padding=1), nn.LeakyReLU(), nn.MaxPool2d(2),
    )  # fmt: skip
    net.fc = nn.Sequential(nn.Linear(64 * n, 8 * n), nn.LeakyReLU(), nn.Linear(8 * n, 1))
    return net


def odd_tensors() -> dict[str, torch.Tensor]:
    """Everything a tensor in a file can be besides a storage from end to end."""
    base = torch.randn(4, 6)
    return OrderedDict(
        whole=base,
        transposed=base.t(),
        strided=base[1:, ::2],
        offset=base[2],
        permuted=torch.randn(2, 3, 4).permute(2, 0, 1),
        scalar=torch.tensor(1.5),
        empty=torch.zeros(0, 3),
        parameter=nn.Parameter(torch.randn(3)),
        double=torch.randn(2, 3, dtype=torch.float64).t(),
        half=torch.tensor([0.0, -1.5, 6e-8, 65504.0, float("inf")]).half(),
        bfloat16=torch.tensor([[1.0, -2.0], [3e38, 1e-39]]).bfloat16().t(),
        specials=torch.tensor([float("nan"), -0.0, 1e-45, float("-inf")]),
    )


torch.manual_seed(1)
for name, net in (("toy", toy(2)), ("nonlocal", nonlocal_net(1, 2))):
    save(name, net.state_dict(), net.state_dict())
odd = odd_tensors()
save("odd", {"epoch": 3, "loss": 0.5, "state_dict": odd, "optimizer": {"state": {}}}, odd)

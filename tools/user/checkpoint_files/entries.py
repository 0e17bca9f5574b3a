"""Choosing one network among those that a file holds."""

from typing import TypeVar

Item = TypeVar("Item")
MOST = 8  # names of tensors that a message lists of each


def chosen(networks: dict[str, dict[str, Item]], entry: str) -> tuple[dict[str, Item], str]:
    """The network's tensors, and where they are: those whose names, behind the name of the
    dictionary they are in, begin with `entry` and a dot, by what follows; without an entry, the
    only network. Throws ValueError naming what there is to choose from."""
    if entry:
        found = {}
        for place, network in networks.items():
            for name, item in network.items():
                whole = f"{place}.{name}" if place else name
                if whole.startswith(entry + "."):
                    found[whole[len(entry) + 1 :]] = item
        if not found:
            raise ValueError(f"has no tensors under {entry!r} (--entry); it holds {listed(networks)}")
        return found, entry
    if len(networks) > 1:
        raise ValueError(
            f"holds {len(networks)} networks: {listed(networks)}; choose one with --entry NAME"
        )
    [(place, network)] = networks.items()
    return network, place


def listed(networks: dict[str, dict[str, Item]]) -> str:
    """The places, and the names of the first tensors there."""
    texts = []
    for place, network in networks.items():
        names = ", ".join(str(name)[:60] for name in list(network)[:MOST])
        more = f" and {len(network) - MOST} more" if len(network) > MOST else ""
        texts.append(f"{place!r}: {names}{more}" if place else f"{names}{more}")
    return "; ".join(texts)

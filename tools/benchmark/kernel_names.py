"""The names of GPU kernels, as ncu shows them, made short."""

import re

LONGEST = 60
TILE = r"\d+x\d+(?:x\d+)?"


def without_arguments(name):
    """A C++ signature without its return type and what is in its last, outermost parentheses."""
    if name.endswith(")"):
        depth = 0
        for at in range(len(name) - 1, -1, -1):
            depth += (name[at] == ")") - (name[at] == "(")
            if depth == 0:
                name = name[:at]
                break
    return name.removeprefix("void ")


def of_library(name):
    """The operation, architecture, type and tile of a kernel of cuDNN's or cuBLAS's, or None."""
    found = re.search(rf"cutlass_(\d+)_\w+?_(\w*gemm\w*?)_({TILE})_({TILE})(?:_([nt]{{2}}))?", name)
    if found:
        capability, *words = found.groups(default="")
        return " ".join(["cutlass", f"sm{capability}", *words]).strip()
    if "xmma" not in name and not name.startswith("cudnn_generated"):
        return None
    operation = re.search(r"fprop|dgrad|wgrad|gemm|conv[A-Z][A-Za-z]*(?:_pointwise)*", name)
    if not operation:
        return None
    words = ["cuDNN", operation[0].replace("_", " ")]
    # Operands of tf32 and bf16 are multiplied into sums of f32, which the name says as well.
    kind = next((kind for kind in ("tf32", "bf16", "f32") if kind in name), None)
    for part in (r"sm\d+", kind, TILE):
        found = part and re.search(part, name)
        words += [found[0]] if found else []
    return " ".join(words)


def short_name(kernel):
    """Ours without namespaces, arguments and "_kernel", a library's by what its name says; of any
    other, which is not understood, as much as there is room for."""
    name = of_library(kernel) or re.sub(r"ebm::|<unnamed>::|_kernel\b", "",
                                        without_arguments(kernel))
    if len(name) > LONGEST and "<" in name:
        name = name[:name.index("<")] + "<…>"
    return name if len(name) <= LONGEST else name[:LONGEST - 1] + "…"

// Tensors of other programs, whose names are not quite the network's.
#pragma once

#include <string>

#include "cuda/nn/network.h"
#include "host/files/safetensors.h"

namespace ebm {

/// Gives the file's tensors the network's names, where what stands between is the work of a wrapper
/// in PyTorch:
/// - `module` (DataParallel, AveragedModel, which also counts: n_averaged) and `_orig_mod`
///   (torch.compile) are left out of names;
/// - spectral norm, of either kind, becomes the weight that it computes in evaluation, W/σ with
///   σ = u·(W v) from the vectors stored;
/// - a prefix that all names share is left out if the network's names follow.
/// Tensors that this does not explain stay as they are. Throws InputFileError when several networks
/// are there, under prefixes that it names.
void adopt_names(TensorFile& file, const Network& network);

/// The names of a file's tensors, as an error lists them: the first thirty, and how many more.
std::string listed_names(const TensorFile& file);

}  // namespace ebm

// CIFAR-10's batches as Python saved them, and torchvision unpacks them: pickles, read without
// running them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

namespace ebm {

/// The pixels of a batch, a dictionary whose 'data' are a NumPy array of count × 3072 8-bit levels:
/// planes of R, G and B, image after image. `path` is for messages.
///
/// A pickle is a program that may import and call anything. Here only the instructions that these
/// files consist of are carried out, on plain records; of functions, they know those that make an
/// array. Throws InputFileError for any other.
std::vector<std::byte> read_cifar10_pickle(std::span<const std::byte> pickle,
                                           const std::filesystem::path& path);

}  // namespace ebm

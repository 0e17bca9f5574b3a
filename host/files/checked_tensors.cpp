#include "host/files/checked_tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <utility>
#include <vector>

#include "cuda/base/content_digest.h"
#include "cuda/base/errors.h"

namespace ebm {
namespace {

constexpr const char* kDigestKey = "xxh3_128";

std::string content_digest(std::span<const TensorView> tensors, const TensorMetadata& metadata) {
  std::string description;  // with lengths, so that no two contents have the same
  for (const auto& [key, value] : metadata) {
    description += fmt::format("{}:{}{}:{}", key.size(), key, value.size(), value);
  }
  std::vector<std::span<const std::byte>> pieces(1);
  for (const TensorView& tensor : tensors) {
    description +=
        fmt::format("{}:{}[{}]", tensor.name.size(), tensor.name, fmt::join(tensor.shape, ","));
    pieces.push_back(std::as_bytes(tensor.values));
  }
  pieces[0] = std::as_bytes(std::span(description));
  return to_text(digest_of(pieces));
}

}  // namespace

void write_checked_tensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                           TensorMetadata metadata) {
  const std::string digest = content_digest(tensors, metadata);  // of the metadata without it
  metadata[kDigestKey] = digest;
  write_safetensors(path, tensors, metadata);
}

TensorFile read_checked_tensors(const std::filesystem::path& path, DigestRule rule) {
  TensorFile file = read_safetensors(path);
  const auto stored = file.metadata.extract(kDigestKey);
  if (stored.empty()) {
    if (rule == DigestRule::required) {
      throw InputFileError(
          fmt::format("{}: is damaged or of another program: its metadata have no "
                      "digest '{}'",
                      path.string(), kDigestKey));
    }
    return file;
  }
  std::vector<TensorView> tensors;
  for (const Tensor& tensor : file.tensors) {
    tensors.push_back({tensor.name, tensor.shape, tensor.values});
  }
  if (content_digest(tensors, file.metadata) != stored.mapped()) {
    throw InputFileError(fmt::format(
        "{}: is damaged: its content is not what its digest says; use another copy. (A program "
        "that changes such a file must leave '{}' out of its metadata)",
        path.string(), kDigestKey));
  }
  return file;
}

}  // namespace ebm

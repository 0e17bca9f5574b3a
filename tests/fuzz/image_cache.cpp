#include "host/data/image_cache.h"

#include <filesystem>

#include "cuda/base/errors.h"
#include "host/files/safetensors.h"
#include "tests/fuzz/hostile_input.h"
#include "tests/support/environment_variable.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

constexpr PreparedImages kKey{.source = {}, .image_size = 2, .channels = 1};

/// The name of the file that the cache keeps these images in.
std::filesystem::path name_in_cache() {
  const TemporaryFolder folder;
  const EnvironmentVariable cache("XDG_CACHE_HOME", folder.path().string());
  keep_prepared(kKey, {.count = 1, .channels = 1, .height = 2, .width = 2, .images = {1, 2, 3, 4}});
  return std::filesystem::directory_iterator(folder / "ebm")->path().filename();
}

/// The digest that keeps damage from going any further.
std::string digest_of_first(const TensorFile& file) {
  return file.tensors.empty()
             ? ""
             : to_text(digest_of(std::as_bytes(std::span(file.tensors[0].values))));
}

}  // namespace

void read_hostile(std::span<const std::byte> bytes) {
  static const std::filesystem::path name = name_in_cache();
  const HostileFile hostile(bytes);
  TensorFile content = read_safetensors(hostile.path());
  content.metadata["digest"] = digest_of_first(content);

  const TemporaryFolder folder;
  const EnvironmentVariable cache("XDG_CACHE_HOME", folder.path().string());
  std::filesystem::create_directory(folder / "ebm");
  write_safetensors(folder / "ebm" / name, content);
  if (!find_prepared(kKey)) {
    throw InputFileError("not these images");
  }
}

}  // namespace ebm

#include "host/scoring/states_to_score.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "cuda/base/errors.h"
#include "host/data/cifar10.h"
#include "host/data/image_folder.h"
#include "host/data/load_images.h"
#include "host/data/mnist.h"
#include "host/files/input_file.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestPicture = std::size_t{1} << 28;

bool is_configuration(const fs::path& path) {
  constexpr std::array<std::string_view, 3> kEndings = {".yaml", ".yml", ".json"};
  return std::ranges::find(kEndings, path.extension().native()) != kEndings.end();
}

/// The first bytes of a file.
std::string start_of(const fs::path& path) {
  InputFile file(path);
  std::string start(std::min<std::uint64_t>(file.remaining(), 8), '\0');
  file.read(std::as_writable_bytes(std::span(start)));
  return start;
}

StateArray to_states(ImageDataset images) {
  return {{images.count, images.channels, images.height, images.width}, std::move(images.images)};
}

/// A file of images that its first bytes tell.
ImageDataset load_image_file(const fs::path& path, std::string_view start, const Shape& state,
                             ExifUse exif) {
  using namespace std::string_view_literals;
  const int size = state.height;
  const int channels = state.channels;
  const auto begins = [start](std::string_view magic) { return start.starts_with(magic); };
  if (begins("\0\0\x08"sv) || begins("\x1f\x8b"sv)) {  // IDX, plain or compressed
    return load_idx_images(path, size, channels);
  }
  if (begins("\xff\xd8\xff"sv) || begins("\x89PNG"sv)) {
    return prepare_images(
        1,
        [&](std::size_t /*i*/) {
          return decode_picture(read_whole_file(path, kLargestPicture), path.string(), exif);
        },
        size, channels);
  }
  if (begins("\x80"sv) || path.extension() == ".bin") {
    return load_cifar10_batch(path, size, channels);
  }
  throw InputFileError(fmt::format(
      "{}: is nothing that can be scored; that are .npy arrays, folders of pictures, pictures, IDX "
      "files of images, batches of CIFAR-10, and configurations (.yaml) with a data section",
      path.string()));
}

void require_images(const fs::path& input, const Shape& state) {
  if ((state.channels != 1 && state.channels != 3) || state.height != state.width ||
      state.height == 1) {
    throw InputFileError(fmt::format(
        "{}: is not a .npy array, and the network takes no images, but states of {} × {} × {}",
        input.string(), state.channels, state.height, state.width));
  }
}

}  // namespace

StateArray read_states_to_score(const fs::path& input, const Shape& state,
                                const DataConfig& training, const LoadNote& note) {
  std::error_code ignored;
  const bool is_folder = fs::is_directory(input, ignored);
  const std::string start = is_folder || is_configuration(input) ? "" : start_of(input);
  if (start.starts_with("\x93NUMPY")) {
    return read_state_array(input, state);
  }
  require_images(input, state);
  if (is_folder) {
    DataConfig folder = training;
    folder.kind = DataKind::folder;
    folder.path = input.string();
    return load_data_to_score(folder, state, note);
  }
  return is_configuration(input) ? load_data_to_score(load_data_section(input), state, note)
                                 : to_states(load_image_file(input, start, state, training.exif));
}

StateArray load_data_to_score(const DataConfig& data, const Shape& state, const LoadNote& note) {
  if (data.is_toy()) {
    throw ConfigurationError(fmt::format(
        "data.kind: {} is drawn anew for every batch, and no states to score; give a .npy array",
        to_string(data.kind)));
  }
  DataConfig prepared = data;
  prepared.image_size = state.height;
  prepared.channels = state.channels;
  return to_states(load_images(prepared, {}, note));
}

}  // namespace ebm

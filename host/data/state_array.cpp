#include "host/data/state_array.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

#include "cuda/base/errors.h"
#include "host/data/prepare_images.h"
#include "host/files/npy.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_shape(const fs::path& path, std::span<const std::int64_t> shape,
                               std::string_view needed) {
  throw InputFileError(
      fmt::format("{}: has shape ({}), but {}", path.string(), fmt::join(shape, ", "), needed));
}

StateArray states_as_they_are(NpyArray array, const Shape& state, const fs::path& path) {
  const std::vector<std::int64_t> whole{state.channels, state.height, state.width};
  const std::vector<std::int64_t> point{state.channels};
  const bool is_point = state.height == 1 && state.width == 1;
  const std::vector<std::int64_t> found(array.shape.begin() + (array.shape.empty() ? 0 : 1),
                                        array.shape.end());
  if (array.shape.empty() || (found != whole && !(is_point && found == point))) {
    refuse_shape(path, array.shape,
                 fmt::format("the network takes (N, {}){}", fmt::join(whole, ", "),
                             is_point ? "" : "; only 8-bit pictures are resized"));
  }
  return {std::move(array.shape), std::move(array.values)};
}

/// How an array of pictures is laid out.
struct PictureLayout {
  int count = 0;
  int height = 0;
  int width = 0;
  int channels = 0;
  bool planes = false;  ///< a picture is its channels one after another
};

PictureLayout layout_of(const NpyLevels& levels, const fs::path& path) {
  const std::vector<std::int64_t>& shape = levels.shape;
  const auto colours = [](std::int64_t size) { return size == 1 || size == 3; };
  const bool sizes_fit = std::ranges::all_of(
      shape, [](std::int64_t size) { return size > 0 && size <= std::numeric_limits<int>::max(); });
  const auto size = [&shape](std::size_t i) { return static_cast<int>(shape[i]); };
  if (sizes_fit && shape.size() == 3) {
    return {size(0), size(1), size(2), 1};
  }
  if (sizes_fit && shape.size() == 4 && colours(shape[1])) {
    return {size(0), size(2), size(3), size(1), true};
  }
  if (sizes_fit && shape.size() == 4 && colours(shape[3])) {
    return {size(0), size(1), size(2), size(3)};
  }
  refuse_shape(path, shape,
               "8-bit pictures are (N, height, width), (N, height, width, channels) or "
               "(N, channels, height, width), of 1 or 3 channels");
}

Picture picture_at(const NpyLevels& levels, const PictureLayout& layout, std::size_t i) {
  const auto plane =
      static_cast<std::size_t>(layout.height) * static_cast<std::size_t>(layout.width);
  const auto channels = static_cast<std::size_t>(layout.channels);
  const std::span from = std::span(levels.values).subspan(i * plane * channels, plane * channels);
  Picture picture{std::vector<std::uint8_t>(from.begin(), from.end()), layout.height, layout.width,
                  layout.channels};
  if (layout.planes) {
    for (std::size_t j = 0; j < from.size(); ++j) {
      picture.pixels[j % plane * channels + j / plane] = from[j];
    }
  }
  return picture;
}

StateArray prepared_pictures(const NpyLevels& levels, const Shape& state, const fs::path& path) {
  if ((state.channels != 1 && state.channels != 3) || state.height != state.width) {
    throw InputFileError(
        fmt::format("{}: holds 8-bit pictures, but the network takes states of {} × {} × {}; save "
                    "array.astype('<f4')",
                    path.string(), state.channels, state.height, state.width));
  }
  const PictureLayout layout = layout_of(levels, path);
  ImageDataset images = prepare_images(
      static_cast<std::size_t>(layout.count),
      [&](std::size_t i) { return picture_at(levels, layout, i); }, state.height, state.channels);
  return {{images.count, images.channels, images.height, images.width}, std::move(images.images)};
}

}  // namespace

StateArray read_state_array(const fs::path& path, const Shape& state) {
  std::variant<NpyArray, NpyLevels> array = read_npy_or_levels(path);
  if (const auto* levels = std::get_if<NpyLevels>(&array)) {
    return prepared_pictures(*levels, state, path);
  }
  return states_as_they_are(std::get<NpyArray>(std::move(array)), state, path);
}

}  // namespace ebm

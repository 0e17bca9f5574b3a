// PNG images: any 8-bit picture, and the grids in which sampled states are looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace ebm {

/// Writes an 8-bit grey (1 channel) or RGB (3 channels) picture; `pixels` is height × width ×
/// channels, the first row at the top. The same pixels give the same bytes. The file appears whole
/// or not at all. Throws OutputError; std::invalid_argument for sizes that do not match.
void write_png(const std::filesystem::path& path, std::span<const std::uint8_t> pixels, int height,
               int width, int channels);

/// Writes `count` ≥ 1 states, count × channels × height × width, as a grid of ⌊√count⌋ images a row
/// with black borders 2 pixels wide between and around them: torchvision's layout, so that it is
/// rows·(height + 2) + 2 high. A grid less than 512 pixels wide is drawn with the fewest pixels a
/// side for each of its own that make it so wide, all alike. A component x shows as clamp(x, −1, 1)
/// mapped to 0…255 and rounded; NaN shows black. 1 or 3 channels. Returns how many components are
/// outside [−1, 1] or NaN. Throws as write_png does.
std::size_t write_png_grid(const std::filesystem::path& path, std::span<const float> states,
                           int count, int channels, int height, int width);

}  // namespace ebm

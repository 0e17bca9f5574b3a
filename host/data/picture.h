// 8-bit pictures as files hold them, before they are prepared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "host/config/picture_choices.h"
#include "host/data/prepare_image.h"

namespace ebm {

/// A grey (1 channel) or RGB (3 channels) picture: height × width × channels, the first row at the
/// top.
struct Picture {
  std::vector<std::uint8_t> pixels;
  int height = 0;
  int width = 0;
  int channels = 0;

  PixelView view() const { return {pixels, height, width, channels}; }
};

/// Decodes the content of a JPEG or PNG file; its first bytes tell which. The levels are those of
/// Pillow's convert("RGB") or, of grey pictures, convert("L"): profiles and gamma change none.
/// JPEG: grey, or what is converted to RGB; CMYK and YCCK as Adobe stores them, inverted, by
/// R = (1 - C)(1 - K). PNG: grey or RGB; palettes become RGB, of 16 bits the upper 8 remain (where
/// Pillow cuts grey levels off at 255), and alpha is dropped.
///
/// Throws InputFileError "NAME: PROBLEM" for anything else: damaged or truncated files, and
/// pictures of more than 2^27 pixels.
Picture decode_picture(std::span<const std::byte> file, std::string_view name,
                       ExifUse exif = ExifUse::ignore);

/// The picture in `channels` (1 or 3): RGB becomes grey as Pillow's mode L, (19595 R + 38470 G +
/// 7471 B + 2^15) / 2^16; grey is repeated in R, G and B.
Picture with_channels(Picture picture, int channels);

}  // namespace ebm

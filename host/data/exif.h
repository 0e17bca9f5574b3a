// The orientation that a camera writes into a picture's file.
#pragma once

#include <cstdint>
#include <span>

#include "host/data/picture.h"

namespace ebm {

/// Orientation (tag 274 of the first directory) of Exif data, which begin with the byte order; 1,
/// upright, where they do not say, or say nothing from 1 to 8. They may be damaged or hostile.
int exif_orientation(std::span<const std::uint8_t> exif);

/// The picture as it is to be looked at: turned and mirrored as the orientation, 1 to 8, says.
Picture upright(Picture picture, int orientation);

}  // namespace ebm

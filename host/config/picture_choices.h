// How pictures are read.
#pragma once

namespace ebm {

/// Whether a picture is turned as its Exif data say.
enum class ExifUse { ignore, apply };

/// What to do with pictures that cannot be read.
enum class Unreadable { error, skip };

}  // namespace ebm

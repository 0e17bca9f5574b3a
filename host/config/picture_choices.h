// Which pictures are read, and how.
#pragma once

namespace ebm {

/// Which part of a data set that is published in two.
enum class DataSplit { train, test };

/// Whether a picture is turned as its Exif data say.
enum class ExifUse { ignore, apply };

/// What to do with pictures that cannot be read.
enum class Unreadable { error, skip };

}  // namespace ebm

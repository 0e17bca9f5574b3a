// Prepared images kept between runs, so that a second start need not decode the pictures again.
//
// They are files in $XDG_CACHE_HOME/ebm, or ~/.cache/ebm, that may be deleted at any time. Where
// neither variable says a folder, or it cannot be written, nothing is kept and nothing is said.
#pragma once

#include <optional>

#include "cuda/base/content_digest.h"
#include "host/config/picture_choices.h"
#include "host/data/image_dataset.h"

namespace ebm {

/// What prepared images are a function of, together with the version of the preparation.
struct PreparedImages {
  Digest source{};  ///< of the pictures' files, in their order
  int image_size = 0;
  int channels = 0;
  ExifUse exif = ExifUse::ignore;
  Unreadable unreadable = Unreadable::error;
};

/// The images as keep_prepared() was given them, or none: a file that is damaged, cut short or of
/// another shape is as good as no file.
std::optional<ImageDataset> find_prepared(const PreparedImages& key);

/// Keeps the images for find_prepared(), whole or not at all; several programs may at once.
void keep_prepared(const PreparedImages& key, const ImageDataset& dataset);

}  // namespace ebm

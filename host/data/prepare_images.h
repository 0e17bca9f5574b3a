// A whole data set's preparation.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "host/config/picture_choices.h"
#include "host/data/image_dataset.h"
#include "host/data/picture.h"

namespace ebm {

/// Is told how many of a data set's images are done. Always called on the thread that asked for
/// the work, and often: it should return at once.
using LoadProgress = std::function<void(std::size_t done, std::size_t total)>;

/// Is told what is to be known of a data set besides its images, in one line each.
using LoadNote = std::function<void(const std::string& line)>;

/// Calls work(0) … work(count − 1), each once, on all threads. When some throw, the exception of
/// the lowest index leaves, whatever the number of threads; later indices may have been left out.
void for_each_in_parallel(std::size_t count, const std::function<void(std::size_t)>& work,
                          const LoadProgress& progress = {});

/// The data set of pictures 0 … count − 1, in that order, each converted to `channels` (1 or 3) and
/// prepared as prepare_image() does: image_size square.
///
/// `picture(i)` is called on any thread. Those for which it throws InputFileError are left out, or
/// else told in one InputFileError; throws what else it throws for the lowest index that fails;
/// InputFileError where none is left, ConfigurationError where the machine's memory cannot hold
/// them, std::invalid_argument for other sizes and channels.
ImageDataset prepare_images(std::size_t count, const std::function<Picture(std::size_t)>& picture,
                            int image_size, int channels, const LoadProgress& progress = {},
                            Unreadable unreadable = Unreadable::error);

}  // namespace ebm

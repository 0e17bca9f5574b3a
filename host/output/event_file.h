// TensorBoard's event files: scalars and pictures along a run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "cuda/base/posix_file.h"

namespace ebm {

/// A number under the name of its curve; TensorBoard groups names by what is before the "/".
struct NamedScalar {
  std::string tag;
  double value = 0;  ///< stored as float32
};

/// One event file: TFRecord framing around the records of host/output/event.proto. Records are
/// gathered in memory until flush().
class EventFile {
 public:
  /// Makes a new file in `folder`, and the folder where it is missing. The file is named for the
  /// time, because TensorBoard reads files in the order of their names. It forgets what earlier
  /// ones hold of `first_step` and later, for runs that go on from before their end: all at once,
  /// or, with its fast loader, a tag's when the next record of that tag comes. Throws OutputError.
  EventFile(const std::filesystem::path& folder, std::int64_t first_step);

  /// `wall_time`: seconds since 1970.
  void add_scalars(std::int64_t step, double wall_time, std::span<const NamedScalar> scalars);

  /// `png`: a whole PNG file. Returns false, and adds nothing, when it is not one.
  [[nodiscard]] bool add_picture(std::int64_t step, double wall_time, const std::string& tag,
                                 std::span<const std::byte> png);

  /// Writes what was added. Any reader sees it then, and the end of this process cannot lose it.
  /// Throws OutputError when not all could be written; the file then ends as before, and the next
  /// call tries again.
  void flush();

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  std::string unwritten_;
};

/// Seconds since 1970, now.
double wall_time();

}  // namespace ebm

// TensorBoard's event files: scalars and pictures along a run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "host/output/posix_file.h"

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
  /// Makes a new file in `folder`, and the folder where it is missing. Its name sorts after those
  /// of files made earlier there, which is the order TensorBoard reads them in. Readers forget what
  /// those files hold of `first_step` and later: for runs that go on from before their end. Throws
  /// OutputError.
  EventFile(const std::filesystem::path& folder, std::int64_t first_step);

  /// `wall_time`: seconds since 1970.
  void add_scalars(std::int64_t step, double wall_time, std::span<const NamedScalar> scalars);

  /// `png`: a whole PNG file. Throws std::invalid_argument when it is not one.
  void add_picture(std::int64_t step, double wall_time, const std::string& tag,
                   std::span<const std::byte> png);

  /// Writes what was added. Any reader sees it then, and the end of this process cannot lose it.
  /// Throws OutputError when not all could be written; the file then ends as before.
  void flush();

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  std::string unwritten_;
};

/// Seconds since 1970, now.
double wall_time();

/// The checksum of TFRecord's framing, CRC-32C (Castagnoli), rotated and offset so that a record
/// which itself holds checksums is well protected. Of less than 2 GiB, as all events are.
std::uint32_t masked_crc32c(std::span<const std::byte> bytes);

}  // namespace ebm

// Files that appear whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace ebm {

/// What becomes of the file that has the name already.
enum class Existing {
  replaced,  ///< one writer at a time for each path
  kept,      ///< any number of programs may write at once; the first one's file stays
};

/// Makes the file at `path` hold exactly `pieces`, one after another.
///
/// Whoever opens `path` sees the old file or the new one, never a part, even after a crash or a
/// power cut: the bytes go to `path` + ".tmp" (with a number before it where others may write,
/// too), reach the disk, and take the name in one step. The folder must exist; a `path` that is a
/// folder or a device is refused.
///
/// Throws OutputError naming the path, the reason and a remedy. The old file and no temporary
/// remain then. (A killed process may leave the temporary; the next write that replaces `path`
/// replaces it, too.)
void write_file_atomically(const std::filesystem::path& path,
                           std::span<const std::span<const std::byte>> pieces,
                           Existing existing = Existing::replaced);

/// The same for a text.
void write_file_atomically(const std::filesystem::path& path, std::string_view text,
                           Existing existing = Existing::replaced);

}  // namespace ebm

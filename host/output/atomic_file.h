// Files that appear whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace ebm {

/// Makes the file at `path` hold exactly `pieces`, one after another, replacing what was there.
///
/// Whoever opens `path` sees the old file or the new one, never a part, even after a crash or a
/// power cut: the bytes go to `path` + ".tmp", reach the disk, and take the name in one step. One
/// writer at a time for each path. The folder must exist; a `path` that is a folder or a device is
/// refused.
///
/// Throws OutputError naming the path, the reason and a remedy. The old file and no temporary
/// remain then. (A killed process may leave the temporary; the next write of `path` replaces it.)
void write_file_atomically(const std::filesystem::path& path,
                           std::span<const std::span<const std::byte>> pieces);

/// The same for a text.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace ebm

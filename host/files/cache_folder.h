// Where programs keep what they could make again.
#pragma once

#include <filesystem>
#include <optional>

namespace ebm {

/// $XDG_CACHE_HOME/ebm, or ~/.cache/ebm, whether it exists or not; nothing where neither variable
/// says a folder. What is there may be deleted at any time.
std::optional<std::filesystem::path> cache_folder();

}  // namespace ebm

// How much memory a process may take.
#pragma once

#include <cstddef>
#include <filesystem>

namespace ebm {

/// The least of the machine's memory (/proc/meminfo) and the limits of the control groups that the
/// process is in (/proc/self/cgroup: memory.max of version 2, memory.limit_in_bytes of version 1),
/// bytes; the largest number where no file says. `root` is where such files are.
std::size_t machine_memory(const std::filesystem::path& root = "/");

}  // namespace ebm

// What a process may take of the machine: memory and processors.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>

namespace ebm {

/// The least of the machine's memory (/proc/meminfo) and the limits of the control groups that the
/// process is in (/proc/self/cgroup: memory.max of version 2, memory.limit_in_bytes of version 1),
/// bytes; the largest number where no file says. `root` is where such files are.
std::size_t machine_memory(const std::filesystem::path& root = "/");

/// The processor time a second that those control groups leave the process, in processors: the
/// least quota over its period (cpu.max; cpu.cfs_quota_us and cpu.cfs_period_us). None where there
/// is no quota.
std::optional<double> processor_quota(const std::filesystem::path& root = "/");

}  // namespace ebm

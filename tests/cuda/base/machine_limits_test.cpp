// What a process may take of the machine, by files as Linux writes them.

#include "cuda/base/machine_limits.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

class MachineLimits : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void write_meminfo() {
    write("proc/meminfo", "MemTotal:        2048000 kB\nMemFree:          100000 kB\n");
  }

  TemporaryFolder root_;
};

TEST_F(MachineLimits, MemoryIsThatOfTheMachine) {
  write_meminfo();
  EXPECT_EQ(machine_memory(root_.path()), 2000 * kMebibyte);
  write("proc/self/cgroup", "0::/job\n");
  write("sys/fs/cgroup/job/memory.max", "max\n");
  EXPECT_EQ(machine_memory(root_.path()), 2000 * kMebibyte);
}

TEST_F(MachineLimits, MemoryIsTheLeastLimitOfTheGroupsAroundIt) {
  write_meminfo();
  write("proc/self/cgroup", "0::/slurm/job/step\n");
  write("sys/fs/cgroup/slurm/job/step/memory.max", "max\n");
  write("sys/fs/cgroup/slurm/job/memory.max", "104857600\n");
  write("sys/fs/cgroup/slurm/memory.max", "209715200\n");
  write("sys/fs/cgroup/other/memory.max", "1048576\n");
  EXPECT_EQ(machine_memory(root_.path()), 100 * kMebibyte);
}

TEST_F(MachineLimits, MemoryIsTheLimitOfVersionOne) {
  write_meminfo();
  write("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/docker/b\n0::/\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "52428800\n");  // as a container sees it
  EXPECT_EQ(machine_memory(root_.path()), 50 * kMebibyte);
  write("sys/fs/cgroup/memory/docker/b/memory.limit_in_bytes", "10485760\n");
  EXPECT_EQ(machine_memory(root_.path()), 10 * kMebibyte);
}

TEST_F(MachineLimits, MemoryHasNoLimitWhereNothingSays) {
  EXPECT_EQ(machine_memory(root_.path()), std::numeric_limits<std::size_t>::max());
}

TEST_F(MachineLimits, QuotaIsTheLeastOfTheGroupsAroundIt) {
  write("proc/self/cgroup", "0::/slurm/job/step\n");
  EXPECT_EQ(processor_quota(root_.path()), std::nullopt);
  write("sys/fs/cgroup/slurm/job/step/cpu.max", "max 100000\n");
  EXPECT_EQ(processor_quota(root_.path()), std::nullopt);
  write("sys/fs/cgroup/slurm/job/cpu.max", "150000 100000\n");
  write("sys/fs/cgroup/slurm/cpu.max", "400000 100000\n");
  write("sys/fs/cgroup/other/cpu.max", "10000 100000\n");
  EXPECT_EQ(processor_quota(root_.path()), 1.5);
}

TEST_F(MachineLimits, QuotaIsThatOfVersionOne) {
  write("proc/self/cgroup", "5:cpu,cpuacct:/docker/a\n4:memory:/b\n0::/\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(processor_quota(root_.path()), std::nullopt);
  write("sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us", "50000\n");
  EXPECT_EQ(processor_quota(root_.path()), std::nullopt) << "half written";
  write("sys/fs/cgroup/cpu/docker/a/cpu.cfs_period_us", "25000\n");
  EXPECT_EQ(processor_quota(root_.path()), 2);
}

TEST(MachineLimitsHere, MemoryIsMoreThanATestTakes) { EXPECT_GT(machine_memory(), 64 * kMebibyte); }

}  // namespace
}  // namespace ebm

// Runs a kernel's grid on the calling thread: blocks one after the other, the threads of a block as
// fibers, each of which runs until it has to wait for others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "control.h"
#include "cuda_runtime_api.h"

namespace emulated_cuda {

/// A kernel with its arguments, and how it is launched.
struct Launch {
  dim3 blocks;
  dim3 threads;
  std::size_t shared_bytes;
  const void* kernel;          ///< where its code is
  std::function<void()> body;  ///< what one thread does
};

inline std::uint64_t count(const dim3& extent) {
  return std::uint64_t{extent.x} * extent.y * extent.z;
}

/// Runs all of it. Returns what went wrong, with kernel, block and thread; empty when nothing did.
std::string run_grid(const Launch& launch, Order order);

/// The function's name, if the program has symbols.
std::string kernel_name(const void* kernel);

/// In a kernel: the block's dynamic shared memory.
void* dynamic_shared();

/// What threads wait for each other in.
enum class Meeting { block_barrier, warp_barrier, shuffle, ballot };

/// In a kernel: waits until all threads of the block are in a block_barrier.
void meet_block();

/// In a kernel: waits until all lanes named in `mask`, of which the caller's must be one, are in
/// the same kind of meeting with the same mask. Returns the value that lane `source` brought to a
/// shuffle; of a ballot, the lanes whose value is not 0.
std::uint64_t meet_warp(Meeting kind, unsigned mask, std::uint64_t value, unsigned source);

/// In a kernel: the calling thread's place in its warp.
unsigned lane();

}  // namespace emulated_cuda

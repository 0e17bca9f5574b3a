// How the emulator runs kernels: what a correct one computes, and that an incorrect one is found.

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "cuda/device/device_buffer.h"
#include "cuda/device/launch.cuh"
#include "tests/emulated_cuda/control.h"

namespace {

using ebm::CudaError;
using ebm::CudaStream;
using ebm::DeviceBuffer;
using ebm::dynamic_shared;
using ebm::launch_kernel;
using emulated_cuda::Order;

constexpr unsigned kWholeWarp = 0xffffffffU;
constexpr Order kOrders[] = {Order::ascending, Order::descending, Order::shuffled};

/// Has threads run in another order for as long as it exists.
class InOrder {
 public:
  explicit InOrder(Order order) : before_(emulated_cuda::behaviour()) {
    emulated_cuda::set_behaviour({.order = order, .streams = before_.streams});
  }
  ~InOrder() { emulated_cuda::set_behaviour(before_); }
  InOrder(const InOrder&) = delete;
  InOrder& operator=(const InOrder&) = delete;

 private:
  emulated_cuda::Behaviour before_;
};

/// What `kernel(out)` leaves in `size` values.
template <class T>
std::vector<T> results(dim3 blocks, dim3 threads, void (*kernel)(T*), std::size_t size,
                       std::size_t shared_bytes = 0) {
  const CudaStream stream;
  auto out = DeviceBuffer<T>::zeros(stream, size);
  launch_kernel(stream, blocks, threads, shared_bytes, kernel, out.data());
  std::vector<T> values(size);
  out.download(stream, values);
  stream.wait();
  return values;
}

/// What the launch of one block says when it fails.
template <class T>
std::string failure(unsigned threads, void (*kernel)(T*), std::size_t shared_bytes = 0) {
  try {
    results<T>(1, threads, kernel, 1024, shared_bytes);
  } catch (const CudaError& error) {
    return error.what();
  }
  return "none";
}

void expect_parts(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
  }
}

// ---- Threads ----

__global__ void count_visits(unsigned* visits) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  atomicAdd(&visits[block * blockDim.x * blockDim.y * blockDim.z + thread], 1);
}

TEST(EmulatedKernel, RunsOnceForEveryThread) {
  for (const Order order : kOrders) {
    const InOrder in_order(order);
    EXPECT_EQ(results(dim3(2, 3, 2), dim3(5, 2, 3), count_visits, 360),
              std::vector<unsigned>(360, 1));
  }
}

__global__ void change_parameter(unsigned start, unsigned* out) {
  ++start;
  out[threadIdx.x] = start;
}

TEST(EmulatedKernel, EveryThreadHasParametersOfItsOwn) {
  const CudaStream stream;
  auto out = DeviceBuffer<unsigned>::zeros(stream, 3);
  unsigned start = 7;
  launch_kernel(stream, 1, 3, 0, change_parameter, start, out.data());
  start = 100;
  std::vector<unsigned> values(3);
  out.download(stream, values);
  stream.wait();
  EXPECT_EQ(values, std::vector<unsigned>(3, 8));
}

TEST(EmulatedKernel, APointerOfTheHostIsRefused) {
  const CudaStream stream;
  std::vector<unsigned> host(3);
  try {
    launch_kernel(stream, 1, 3, 0, change_parameter, 1U, host.data());
    FAIL() << "the device cannot write there";
  } catch (const CudaError& error) {
    expect_parts(error.what(), {"cudaErrorIllegalAddress", "change_parameter"});
  }
}

TEST(EmulatedKernel, AGridBeyondTheDevicesLimitsIsRefused) {
  expect_parts(failure(1025, count_visits), {"cudaErrorInvalidConfiguration"});
  expect_parts(failure(0, count_visits), {"cudaErrorInvalidConfiguration"});
  expect_parts(failure(32, count_visits, 48 * 1024 + 1), {"cudaErrorInvalidValue"});
}

// ---- Barriers and shared memory ----

template <bool with_barrier>
__global__ void reverse(float* out) {
  auto* const shared = dynamic_shared<float>();
  shared[threadIdx.x] = static_cast<float>(threadIdx.x);
  if (with_barrier) {
    __syncthreads();
  }
  out[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

TEST(EmulatedBarrier, MakesTheOrderOfThreadsIrrelevant) {
  for (const Order order : kOrders) {
    const InOrder in_order(order);
    const std::vector<float> out = results(1, 100, reverse<true>, 100, 400);
    for (unsigned i = 0; i < 100; ++i) {
      EXPECT_EQ(out[i], static_cast<float>(99 - i));
    }
  }
}

TEST(EmulatedBarrier, WhereItLacksThereIsNaN) {
  for (const Order order : kOrders) {
    const InOrder in_order(order);
    bool nan = false;
    for (const float value : results(1, 100, reverse<false>, 100, 400)) {
      nan = nan || std::isnan(value);
    }
    EXPECT_TRUE(nan);
  }
}

/// What the block finds in shared memory, where it leaves something for the next one.
__global__ void keep_dynamic(float* out) {
  auto* const shared = dynamic_shared<float>();
  if (threadIdx.x == 0) {
    out[blockIdx.x] = *shared;
    *shared = 1;
  }
}
__global__ void keep_array(float* out) {
  __shared__ float shared[2];
  if (threadIdx.x == 0) {
    out[blockIdx.x] = shared[blockIdx.x % 2];
    shared[0] = shared[1] = 1;
  }
}
template <class Value>
__global__ void keep_array_of_template(Value* out) {
  __shared__ Value shared[3];
  if (threadIdx.x == 0) {
    out[blockIdx.x] = shared[blockIdx.x % 3];
    shared[0] = shared[1] = shared[2] = 1;
  }
}

TEST(EmulatedSharedMemory, IsNaNInEveryBlock) {
  for (int launch = 0; launch < 2; ++launch) {
    for (const auto kernel : {keep_dynamic, keep_array, keep_array_of_template<float>}) {
      for (const float value : results(4, 32, kernel, 4, sizeof(float))) {
        EXPECT_TRUE(std::isnan(value));
      }
    }
  }
}

TEST(EmulatedSharedMemory, MoreThanUsualMustBeAskedFor) {
  constexpr std::size_t kBytes = 100 * 1024;
  expect_parts(failure(100, reverse<true>, kBytes), {"cudaErrorInvalidValue"});
  ASSERT_EQ(cudaFuncSetAttribute(reverse<true>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(kBytes)),
            cudaSuccess);
  EXPECT_EQ(results(1, 100, reverse<true>, 100, kBytes)[0], 99.0F);
}

/// Sums of 1, 2, ... over the block by halves, in every block of a grid.
__global__ void sum_by_halves(unsigned* out) {
  __shared__ unsigned sums[256];
  sums[threadIdx.x] = threadIdx.x + 1;
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      sums[threadIdx.x] += sums[threadIdx.x + half];
    }
  }
  if (threadIdx.x == 0) {
    out[blockIdx.x] = sums[0];
  }
}

TEST(EmulatedBarrier, CanBePassedManyTimes) {
  for (const Order order : kOrders) {
    const InOrder in_order(order);
    EXPECT_EQ(results(50, 256, sum_by_halves, 50), std::vector<unsigned>(50, 256 * 257 / 2));
  }
}

__global__ void some_return_before_a_barrier(unsigned* /*out*/) {
  if (threadIdx.x > 7) {
    return;
  }
  __syncthreads();
}

TEST(EmulatedBarrier, ThatSomeThreadsDoNotReachIsAnError) {
  for (const Order order : kOrders) {
    const InOrder in_order(order);
    expect_parts(failure(64, some_return_before_a_barrier),
                 {"cudaErrorLaunchFailure", "some_return_before_a_barrier", "block (0, 0, 0)",
                  "thread (0, 0, 0) waits in __syncthreads, but thread (8, 0, 0) has ended"});
    EXPECT_EQ(results(2, 256, sum_by_halves, 2)[1], 256U * 257 / 2);  // goes on
  }
}

__global__ void two_kinds_of_waiting(unsigned* /*out*/) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncwarp(0x0000ffffU);
  }
}

TEST(EmulatedBarrier, OfAnotherKindIsNone) {
  expect_parts(failure(48, two_kinds_of_waiting),
               {"thread (0, 0, 0) waits in __syncthreads, but thread (32, 0, 0) has ended"});
}

// ---- Warps ----

__global__ void shuffles(int* out) {
  const auto lane = static_cast<int>(threadIdx.x % 32);
  int* const mine = out + 6 * threadIdx.x;
  mine[0] = __shfl_sync(kWholeWarp, 10 * lane, 3);
  mine[1] = __shfl_sync(kWholeWarp, 10 * lane, 3, 8);
  mine[2] = __shfl_xor_sync(kWholeWarp, 10 * lane, 5);
  mine[3] = __shfl_down_sync(kWholeWarp, 10 * lane, 2);
  mine[4] = __shfl_down_sync(kWholeWarp, 10 * lane, 2, 4);
  mine[5] = static_cast<int>(__shfl_sync(kWholeWarp, 0.5 * lane, 31) * 2);
}

TEST(EmulatedShuffle, GivesTheOtherLanesValue) {
  for (const Order order : kOrders) {
    const InOrder in_order(order);
    const std::vector<int> out = results(1, 96, shuffles, 6 * 96);
    for (int thread = 0; thread < 96; ++thread) {
      const int lane = thread % 32;
      const std::vector<int> expected = {30,
                                         10 * (lane / 8 * 8 + 3),
                                         10 * (lane ^ 5),
                                         10 * (lane + 2 < 32 ? lane + 2 : lane),
                                         10 * (lane % 4 < 2 ? lane + 2 : lane),
                                         31};
      EXPECT_EQ(std::vector<int>(&out[6 * thread], &out[6 * thread] + 6), expected) << thread;
    }
  }
}

__global__ void votes(unsigned* out) {
  const bool odd = threadIdx.x % 2 == 1;
  out[3 * threadIdx.x] = __ballot_sync(kWholeWarp, odd);
  out[3 * threadIdx.x + 1] = static_cast<unsigned>(__any_sync(kWholeWarp, threadIdx.x == 9));
  out[3 * threadIdx.x + 2] = static_cast<unsigned>(__all_sync(kWholeWarp, threadIdx.x != 9));
}

TEST(EmulatedVote, CountsTheWarp) {
  const std::vector<unsigned> out = results(1, 64, votes, 3 * 64);
  for (unsigned thread = 0; thread < 64; ++thread) {
    EXPECT_EQ(out[3 * thread], 0xaaaaaaaaU);
    EXPECT_EQ(out[3 * thread + 1], thread < 32 ? 1U : 0U);
    EXPECT_EQ(out[3 * thread + 2], thread < 32 ? 0U : 1U);
  }
}

__global__ void half_a_warp_shuffles(int* out) {
  if (threadIdx.x < 16) {
    out[threadIdx.x] = __shfl_xor_sync(kWholeWarp, 1, 1);
  }
}
__global__ void not_in_its_mask(int* out) { out[0] = __shfl_sync(0x0000ffffU, 1, 0); }
__global__ void asks_outside_the_mask(int* out) {
  if (threadIdx.x < 16) {
    out[threadIdx.x] = __shfl_sync(0x0000ffffU, 1, 20);
  }
}
__global__ void different_masks(int* /*out*/) { __syncwarp(threadIdx.x == 0 ? 3U : kWholeWarp); }

TEST(EmulatedShuffle, WithoutAllItsLanesIsAnError) {
  expect_parts(failure(32, half_a_warp_shuffles),
               {"half_a_warp_shuffles", "thread (0, 0, 0) waits in a shuffle of lanes 0xffffffff",
                "thread (16, 0, 0) has ended"});
  expect_parts(failure(16, half_a_warp_shuffles), {"the block has no lane 16 there"});
  expect_parts(failure(32, not_in_its_mask), {"of lanes 0x0000ffff, of which it is none"});
  expect_parts(failure(32, asks_outside_the_mask), {"asks for the value of lane 20"});
  expect_parts(failure(32, different_masks),
               {"waits in __syncwarp of lanes 0x00000003, but thread (1, 0, 0) waits in __syncwarp "
                "of lanes 0xffffffff"});
}

// ---- Atomics ----

__global__ void count_and_find_largest(unsigned* out) {
  atomicAdd(&out[0], 2);
  atomicMax(&out[1], (threadIdx.x * 37) % 101);
}

TEST(EmulatedAtomic, IsTheSameInEveryOrder) {
  for (const Order order : kOrders) {
    const InOrder in_order(order);
    EXPECT_EQ(results(3, 101, count_and_find_largest, 2), (std::vector<unsigned>{606, 100}));
  }
}

}  // namespace

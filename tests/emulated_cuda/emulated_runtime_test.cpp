// What the emulated runtime promises and refuses: memory, streams, graphs.

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "cuda/device/cuda_graph.h"
#include "cuda/device/device_buffer.h"
#include "cuda/device/launch.cuh"
#include "tests/emulated_cuda/control.h"

namespace {

using ebm::CudaError;
using ebm::CudaEvent;
using ebm::CudaGraph;
using ebm::CudaStream;
using ebm::DeviceBuffer;
using ebm::launch_kernel;
using ebm::PinnedBuffer;
using emulated_cuda::Streams;

/// Has streams work at once, or late, for as long as it exists.
class Working {
 public:
  explicit Working(Streams streams) : before_(emulated_cuda::behaviour()) {
    emulated_cuda::set_behaviour({.order = before_.order, .streams = streams});
  }
  ~Working() { emulated_cuda::set_behaviour(before_); }
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;

 private:
  emulated_cuda::Behaviour before_;
};

__global__ void increment(int* value) { ++*value; }
__global__ void twice(int* value) { *value *= 2; }

DeviceBuffer<int> number(const CudaStream& stream, int value) {
  DeviceBuffer<int> buffer(stream, 1);
  const std::vector<int> values = {value};
  buffer.upload(stream, values);
  return buffer;
}

int read(const CudaStream& stream, const DeviceBuffer<int>& buffer) {
  std::vector<int> values(1);
  buffer.download(stream, values);
  stream.wait();
  return values[0];
}

/// Launches both once: in a capture nothing can be loaded.
void load_kernels() {
  const CudaStream stream;
  DeviceBuffer<int> value = number(stream, 0);
  launch_kernel(stream, 1, 1, 0, increment, value.data());
  launch_kernel(stream, 1, 1, 0, twice, value.data());
  stream.wait();
}

// ---- Memory ----

TEST(EmulatedMemory, IsNaNUntilItIsWritten) {
  void* memory = nullptr;
  ASSERT_EQ(cudaMalloc(&memory, 100 * sizeof(float)), cudaSuccess);
  std::vector<float> values(100);
  EXPECT_EQ(cudaMemcpy(values.data(), memory, 400, cudaMemcpyDeviceToHost), cudaSuccess);
  for (const float value : values) {
    EXPECT_TRUE(std::isnan(value));
  }
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
}

TEST(EmulatedMemory, IsCounted) {
  std::size_t before = 0;
  std::size_t after = 0;
  std::size_t total = 0;
  const std::size_t live = emulated_cuda::live_allocations();
  const CudaStream stream;
  ASSERT_EQ(cudaMemGetInfo(&before, &total), cudaSuccess);
  EXPECT_EQ(total, std::size_t{8} << 30);
  {
    const DeviceBuffer<float> buffer(stream, 1000);
    const PinnedBuffer<float> pinned(1000);
    ASSERT_EQ(cudaMemGetInfo(&after, &total), cudaSuccess);
    EXPECT_EQ(before - after, 4000U);
    EXPECT_EQ(emulated_cuda::live_allocations(), live + 2);
  }
  EXPECT_EQ(emulated_cuda::live_allocations(), live);
}

TEST(EmulatedMemory, ThatIsFreedStaysWithThePoolUpToItsThreshold) {
  std::uint64_t threshold = 3000;
  ASSERT_EQ(cudaMemPoolSetAttribute(nullptr, cudaMemPoolAttrReleaseThreshold, &threshold),
            cudaSuccess);
  const CudaStream stream;
  { const DeviceBuffer<float> buffer(stream, 1000); }
  stream.wait();
  std::size_t free = 0;
  std::size_t total = 0;
  std::uint64_t reserved = 0;
  std::uint64_t used = 0;
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_EQ(cudaMemPoolGetAttribute(nullptr, cudaMemPoolAttrReservedMemCurrent, &reserved),
            cudaSuccess);
  EXPECT_EQ(cudaMemPoolGetAttribute(nullptr, cudaMemPoolAttrUsedMemCurrent, &used), cudaSuccess);
  EXPECT_EQ(total - free, 3000U);
  EXPECT_EQ(reserved, 3000U);
  EXPECT_EQ(used, 0U);
  threshold = 0;
  ASSERT_EQ(cudaMemPoolSetAttribute(nullptr, cudaMemPoolAttrReleaseThreshold, &threshold),
            cudaSuccess);
}

TEST(EmulatedMemory, WrongCopiesAndFreesAreRefused) {
  void* memory = nullptr;
  ASSERT_EQ(cudaMalloc(&memory, 8), cudaSuccess);
  std::vector<char> host(16);
  EXPECT_EQ(cudaMemcpy(memory, host.data(), 9, cudaMemcpyDefault), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host.data(), memory, 9, cudaMemcpyDefault), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(memory, host.data(), 8, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(memory, 0, 9), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(host.data(), 0, 9), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFreeHost(memory), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
  EXPECT_EQ(cudaFree(memory), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

#ifdef __SANITIZE_ADDRESS__
TEST(EmulatedMemoryDeathTest, OfTheDeviceIsNotForTheHost) {
  const CudaStream stream;
  DeviceBuffer<int> buffer = number(stream, 1);
  stream.wait();
  EXPECT_DEATH(++*buffer.data(), "use-after-poison");
}

__global__ void write_beyond(int* value) { value[1] = 1; }

TEST(EmulatedMemoryDeathTest, EndsWhereItEnds) {
  const CudaStream stream;
  DeviceBuffer<int> buffer = number(stream, 1);
  EXPECT_DEATH(
      {
        launch_kernel(stream, 1, 1, 0, write_beyond, buffer.data());
        stream.wait();
      },
      "heap-buffer-overflow");
}
#endif

TEST(EmulatedMemory, PinnedMemoryCanBeMapped) {
  const CudaStream stream;
  PinnedBuffer<int> pinned(1);
  void* mapped = nullptr;
  ASSERT_EQ(cudaHostGetDevicePointer(&mapped, pinned.data(), 0), cudaSuccess);
  launch_kernel(stream, 1, 1, 0, increment, static_cast<int*>(mapped));
  stream.wait();
  EXPECT_EQ(pinned.span()[0], 1);
}

// ---- Streams ----

TEST(EmulatedStream, ThatIsLateShowsAHostThatDoesNotWait) {
  const Working late(Streams::late);
  const CudaStream stream;
  const DeviceBuffer<int> five = number(stream, 5);
  PinnedBuffer<int> pinned(1);
  five.download(stream, pinned.span());
  EXPECT_EQ(pinned.span()[0], 0);
  stream.wait();
  EXPECT_EQ(pinned.span()[0], 5);
}

TEST(EmulatedStream, ThatIsLateShowsAStreamThatDoesNotWait) {
  const Working late(Streams::late);
  const CudaStream first;
  const CudaStream second;
  for (const bool waits : {false, true}) {
    DeviceBuffer<int> value = number(first, 5);
    first.wait();
    const CudaEvent done;
    launch_kernel(first, 1, 1, 0, increment, value.data());
    first.record(done);
    if (waits) {
      second.wait_for(done);
    }
    launch_kernel(second, 1, 1, 0, twice, value.data());
    second.wait();
    EXPECT_EQ(read(first, value), waits ? 12 : 11);
  }
}

TEST(EmulatedStream, ThatIsLateGetsOnWhenItIsAsked) {
  const Working late(Streams::late);
  const CudaStream stream;
  const CudaEvent done;
  DeviceBuffer<int> value = number(stream, 5);
  stream.record(done);
  EXPECT_EQ(cudaEventQuery(done.get()), cudaErrorNotReady);
  while (cudaEventQuery(done.get()) == cudaErrorNotReady) {
  }
  EXPECT_EQ(cudaStreamQuery(stream.get()), cudaSuccess);
}

TEST(EmulatedStream, TakesTheHostsOwnMemoryAsItIs) {
  const Working late(Streams::late);
  const CudaStream stream;
  std::vector<int> values = {3};
  DeviceBuffer<int> buffer(stream, 1);
  buffer.upload(stream, values);
  values[0] = 4;
  EXPECT_EQ(read(stream, buffer), 3);
}

TEST(EmulatedStream, ThatIsDestroyedTakesNoWork) {
  void* memory = nullptr;
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaMallocAsync(&memory, 8, stream), cudaSuccess);
  ASSERT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  EXPECT_EQ(cudaFreeAsync(memory, stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
}

TEST(EmulatedStream, CallsTheHostInItsTurn) {
  const Working late(Streams::late);
  const CudaStream stream;
  int calls = 0;
  const cudaHostFn_t call = [](void* data) { ++*static_cast<int*>(data); };
  ASSERT_EQ(cudaLaunchHostFunc(stream.get(), call, &calls), cudaSuccess);
  EXPECT_EQ(calls, 0);
  stream.wait();
  EXPECT_EQ(calls, 1);
}

TEST(EmulatedStream, AFailureThatIsLateIsThatOfTheWait) {
  const Working late(Streams::late);
  const CudaStream stream;
  DeviceBuffer<int> value = number(stream, 5);
  const auto diverges = [](int* /*value*/) {
    if (threadIdx.x == 0) {
      __syncthreads();
    }
  };
  launch_kernel(stream, 1, 2, 0, +diverges, value.data());
  EXPECT_THROW(stream.wait(), CudaError);
  EXPECT_EQ(read(stream, value), 5);
}

// ---- Graphs ----

TEST(EmulatedGraph, ReplaysItsWorkOnMemoryAsItIsThen) {
  load_kernels();
  for (const Streams streams : {Streams::at_once, Streams::late}) {
    const Working working(streams);
    const CudaStream stream;
    DeviceBuffer<int> value = number(stream, 1);
    DeviceBuffer<int> copy(stream, 1);
    const CudaGraph graph = CudaGraph::capture(stream, [&] {
      launch_kernel(stream, 1, 1, 0, increment, value.data());
      copy.copy_from(stream, value);
      EBM_CHECK_CUDA(cudaMemsetAsync(value.data(), 0, sizeof(int), stream.get()));
    });
    EXPECT_EQ(read(stream, value), 1);
    const std::vector<int> other = {41};
    value.upload(stream, other);
    graph.launch(stream);
    EXPECT_EQ(read(stream, copy), 42);
    graph.launch(stream);
    EXPECT_EQ(read(stream, copy), 1);
  }
}

template <class Call>
std::string capture_failure(const Call& call) {
  const CudaStream stream;
  try {
    CudaGraph::capture(stream, [&] { call(stream); });
  } catch (const CudaError& error) {
    stream.wait();  // goes on
    return error.what();
  }
  return "none";
}

TEST(EmulatedGraph, CapturesNoWaitingAndNoAllocation) {
  const CudaStream other;
  const CudaEvent event;
  DeviceBuffer<int> value = number(other, 1);
  std::vector<int> host(1);
  const auto refused = [](const std::string& failure) {
    return failure.find("cudaErrorStreamCaptureUnsupported") != std::string::npos;
  };
  EXPECT_TRUE(refused(capture_failure([](const CudaStream& stream) { stream.wait(); })));
  EXPECT_TRUE(refused(capture_failure([&](const CudaStream& /*stream*/) { other.wait(); })));
  EXPECT_TRUE(refused(capture_failure([&](const CudaStream& /*stream*/) { event.wait(); })));
  EXPECT_TRUE(refused(
      capture_failure([](const CudaStream& stream) { const DeviceBuffer<int> one(stream, 1); })));
  EXPECT_TRUE(refused(
      capture_failure([](const CudaStream& /*stream*/) { const PinnedBuffer<int> one(1); })));
  EXPECT_TRUE(refused(capture_failure([&](const CudaStream& /*stream*/) {
    EBM_CHECK_CUDA(cudaMemcpy(host.data(), value.data(), sizeof(int), cudaMemcpyDefault));
  })));
}

__global__ void launched_first_in_a_capture(int* value) { *value = 7; }

TEST(EmulatedGraph, LoadsNoKernel) {
  const CudaStream other;
  DeviceBuffer<int> value = number(other, 1);
  const auto launch = [&](const CudaStream& stream) {
    launch_kernel(stream, 1, 1, 0, launched_first_in_a_capture, value.data());
  };
  for (int time = 0; time < 2; ++time) {
    EXPECT_NE(capture_failure(launch).find("cudaErrorStreamCaptureUnsupported"), std::string::npos);
  }
  launch(other);
  EXPECT_EQ(capture_failure(launch), "none");
}

TEST(EmulatedGraph, IsSpoiledByARefusedCallThatNobodyLookedAt) {
  const std::string failure = capture_failure([](const CudaStream& stream) {
    static_cast<void>(cudaStreamSynchronize(stream.get()));
    static_cast<void>(cudaGetLastError());
  });
  EXPECT_NE(failure.find("cudaErrorStreamCaptureInvalidated"), std::string::npos) << failure;
}

TEST(EmulatedGraph, TakesInStreamsThatWaitForIts) {
  load_kernels();
  const CudaStream stream;
  const CudaStream branch;
  const CudaEvent fork;
  const CudaEvent join;
  DeviceBuffer<int> value = number(stream, 5);
  const CudaGraph graph = CudaGraph::capture(stream, [&] {
    launch_kernel(stream, 1, 1, 0, increment, value.data());
    stream.record(fork);
    branch.wait_for(fork);
    launch_kernel(branch, 1, 1, 0, twice, value.data());
    branch.record(join);
    stream.wait_for(join);
  });
  EXPECT_EQ(read(stream, value), 5);
  graph.launch(stream);
  EXPECT_EQ(read(stream, value), 12);
}

TEST(EmulatedGraph, HasNoLooseEnds) {
  const CudaStream branch;
  const CudaEvent event;
  const auto fails_with = [](const std::string& failure, const char* error) {
    EXPECT_NE(failure.find(error), std::string::npos) << failure;
  };
  fails_with(capture_failure([&](const CudaStream& stream) {
               stream.record(event);
               branch.wait_for(event);
             }),
             "cudaErrorStreamCaptureUnjoined");
  const CudaEvent outside;
  branch.record(outside);
  fails_with(capture_failure([&](const CudaStream& stream) { stream.wait_for(outside); }),
             "cudaErrorStreamCaptureIsolation");
}

// ---- Counts ----

TEST(EmulatedCounts, ALoopOfGraphsNeitherWaitsNorAllocates) {
  load_kernels();
  const CudaStream stream;
  DeviceBuffer<int> value = number(stream, 0);
  const CudaGraph graph =
      CudaGraph::capture(stream, [&] { launch_kernel(stream, 1, 1, 0, increment, value.data()); });
  const emulated_cuda::Counts before = emulated_cuda::counts();
  for (int i = 0; i < 10; ++i) {
    graph.launch(stream);
  }
  const emulated_cuda::Counts after = emulated_cuda::counts();
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.synchronizations, before.synchronizations);
  EXPECT_EQ(after.kernels, before.kernels);
  EXPECT_EQ(after.graphs, before.graphs + 10);
  EXPECT_EQ(read(stream, value), 10);
  EXPECT_GT(emulated_cuda::counts().synchronizations, after.synchronizations);
}

}  // namespace

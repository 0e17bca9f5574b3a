// What the owning types of the device layer promise, on a device.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "cuda/device/cuda_graph.h"
#include "cuda/device/cuda_survey.h"
#include "cuda/device/device_buffer.h"
#include "cuda/kernels/langevin_update.cuh"
#include "cuda/kernels/mala.cuh"
#include "cuda/kernels/optimizer.cuh"
#include "tests/support/kernel_launch.h"
#include "tests/support/numbers.h"

namespace ebm {
namespace {

std::vector<float> contents(const CudaStream& stream, const DeviceBuffer<float>& buffer) {
  std::vector<float> values(buffer.size(), -1.0F);
  buffer.download(stream, values);
  stream.wait();
  return values;
}

DeviceBuffer<float> filled(const CudaStream& stream, const std::vector<float>& values) {
  DeviceBuffer<float> buffer(stream, values.size());
  buffer.upload(stream, values);
  return buffer;
}

TEST(DeviceBuffer, IsZeroWhereAskedAndHoldsWhatIsCopied) {
  const CudaStream stream;
  auto buffer = DeviceBuffer<float>::zeros(stream, 1000);
  EXPECT_EQ(contents(stream, buffer), std::vector<float>(1000, 0.0F));
  const std::vector<float> values = numbers(1000, 1);
  buffer.copy_from(stream, filled(stream, values));
  EXPECT_EQ(contents(stream, buffer), values);
}

TEST(DeviceBuffer, Moves) {
  const CudaStream stream;
  DeviceBuffer<float> buffer = filled(stream, {1, 2});
  DeviceBuffer<float> other = std::move(buffer);
  buffer = filled(stream, {3});
  EXPECT_EQ(contents(stream, other), (std::vector<float>{1, 2}));
  EXPECT_EQ(contents(stream, buffer), std::vector<float>{3});
}

TEST(DeviceBuffer, CopiesOfOtherSizesAreRefused) {
  const CudaStream stream;
  DeviceBuffer<float> buffer(stream, 3);
  std::vector<float> values(4);
  EXPECT_THROW(buffer.upload(stream, values), std::invalid_argument);
  EXPECT_THROW(buffer.download(stream, values), std::invalid_argument);
  EXPECT_THROW(buffer.copy_from(stream, filled(stream, values)), std::invalid_argument);
}

TEST(DeviceBuffer, MoreThanThereIsIsAnErrorWithTheCallAndThePlace) {
  const CudaStream stream;
  EXPECT_THROW(DeviceBuffer<float>(stream, static_cast<std::size_t>(-1) / 2), std::bad_alloc);
  try {
    // More bytes than any device has, yet not so many that a driver takes the call for a wrong one.
    const DeviceBuffer<std::byte> buffer(stream, std::size_t{1} << 40);
    FAIL() << "no device has 1 TiB";
  } catch (const CudaError& error) {
    for (const char* part : {"cudaMallocAsync(", "device_buffer.h:", "cudaErrorMemoryAllocation"}) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
  EXPECT_EQ(contents(stream, filled(stream, {5})), std::vector<float>{5});  // goes on
}

std::uint64_t pool_attribute(cudaMemPoolAttr attribute) {
  cudaMemPool_t pool = nullptr;
  std::uint64_t value = 0;
  EBM_CHECK_CUDA(cudaDeviceGetDefaultMemPool(&pool, 0));
  EBM_CHECK_CUDA(cudaMemPoolGetAttribute(pool, attribute, &value));
  return value;
}

TEST(OpenCudaDevice, HasThePoolKeepItsMemoryAndCountsThatAsFree) {
  constexpr std::size_t kBytes = std::size_t{256} << 20;
  open_cuda_device(0);
  EXPECT_EQ(pool_attribute(cudaMemPoolAttrReleaseThreshold),
            std::numeric_limits<std::uint64_t>::max());
  const CudaStream stream;
  { const DeviceBuffer<std::byte> buffer(stream, kBytes); }
  stream.wait();
  EXPECT_GE(pool_attribute(cudaMemPoolAttrReservedMemCurrent), kBytes);
  std::size_t free_of_all = 0;
  std::size_t total = 0;
  EBM_CHECK_CUDA(cudaMemGetInfo(&free_of_all, &total));
  // Half, because another program may take memory between these two lines.
  EXPECT_GT(open_cuda_device(0), free_of_all + kBytes / 2);
}

TEST(CudaEvent, OrdersAndMeasuresStreams) {
  const CudaStream first;
  const CudaStream second;
  const CudaEvent begin;
  const CudaEvent end;
  PinnedBuffer<float> pinned(1 << 20);
  EXPECT_EQ(pinned.span()[1000], 0.0F);
  pinned.span()[1000] = 7;
  DeviceBuffer<float> buffer(first, pinned.size());
  first.record(begin);
  buffer.upload(first, pinned.span());
  first.record(end);
  second.wait_for(end);
  EXPECT_EQ(contents(second, buffer)[1000], 7.0F);
  end.wait();
  EXPECT_GT(end.milliseconds_since(begin), 0.0F);
}

TEST(CudaGraph, RunsWhenItIsLaunchedAsOftenAsItIs) {
  const CudaStream stream;
  DeviceBuffer<float> parameters = filled(stream, {10});
  const DeviceBuffer<float> gradient = filled(stream, {1});
  sgd_step(stream, SgdStep{.rate = 0}, 1, gradient.data(), parameters.data());  // loads the kernel
  const CudaGraph graph = CudaGraph::capture(
      stream, [&] { sgd_step(stream, SgdStep{.rate = 2}, 1, gradient.data(), parameters.data()); });
  EXPECT_EQ(contents(stream, parameters), std::vector<float>{10});
  for (int i = 0; i < 3; ++i) {
    graph.launch(stream);
  }
  EXPECT_EQ(contents(stream, parameters), std::vector<float>{4});
}

TEST(CudaGraph, AnExceptionEndsTheCaptureAndTheStreamGoesOn) {
  const CudaStream stream;
  EXPECT_THROW(CudaGraph::capture(stream, [] { throw std::runtime_error("stop"); }),
               std::runtime_error);
  EXPECT_EQ(contents(stream, filled(stream, {5})), std::vector<float>{5});
}

TEST(ChainCounter, OneCapturedStepMakesTheNoiseOfEveryStep) {
  constexpr int kChains = 3;
  constexpr std::int64_t kSize = 300;
  constexpr std::uint32_t kSteps = 4;
  LangevinUpdate update{.epsilon = 0.1F, .noise = {.seed = 1, .purpose = Purpose::langevin}};
  const CudaStream stream;
  const std::vector<float> start = numbers(kChains * kSize, 1);
  const DeviceBuffer<float> gradients = filled(stream, numbers(start.size(), 2));
  DeviceBuffer<float> norms(stream, kChains);
  DeviceBuffer<float> replayed = filled(stream, start);
  DeviceBuffer<ChainCounter> places(stream, kChains);
  const auto step = [&] {
    langevin_update(stream, update, 0, kChains, kSize, gradients.data(), nullptr, replayed.data(),
                    norms.data(), places.data());
  };
  step();  // loads the kernel
  const CudaGraph graph = CudaGraph::capture(stream, step);
  replayed.copy_from(stream, filled(stream, start));
  set_chain_counters(stream, {.seed = 1, .purpose = Purpose::langevin, .iteration = 6}, 0, 10,
                     kChains, places.data());
  DeviceBuffer<float> stepped = filled(stream, start);
  update.noise.iteration = 6;
  for (; update.step < kSteps; ++update.step) {
    graph.launch(stream);
    langevin_update(stream, update, 10, kChains, kSize, gradients.data(), nullptr, stepped.data(),
                    norms.data());
  }
  EXPECT_EQ(contents(stream, replayed), contents(stream, stepped));
}

/// MALA's chains on the device; proposals are evaluated by nobody, and their f and ∇f stay.
struct ProposedChains {
  static constexpr int kChains = 8;
  static constexpr std::int64_t kSize = 70;
  static constexpr std::size_t kValues = kChains * kSize;

  explicit ProposedChains(const CudaStream& stream)
      : states(filled(stream, numbers(kValues, 1))),
        f(filled(stream, numbers(kChains, 2))),
        gradients(filled(stream, numbers(kValues, 3))),
        momenta(stream, kValues),
        proposals(stream, kValues),
        proposal_f(filled(stream, numbers(kChains, 4))),
        proposal_gradients(filled(stream, numbers(kValues, 5))),
        log_ratios(stream, kChains),
        norms(stream, kChains),
        accepted(stream, kChains) {}

  void step(const CudaStream& stream, const MalaUpdate& update, std::uint32_t first_chain,
            ChainCounter* places) {
    const ChainMemory memory{.states = states.data(),
                             .f = f.data(),
                             .gradients = gradients.data(),
                             .momenta = momenta.data(),
                             .proposals = proposals.data(),
                             .proposal_f = proposal_f.data(),
                             .proposal_gradients = proposal_gradients.data(),
                             .log_ratios = log_ratios.data()};
    mala_propose(stream, update, first_chain, kChains, kSize, nullptr, memory, norms.data(),
                 places);
    mala_decide(stream, update, first_chain, kChains, kSize, nullptr, memory, accepted.data(),
                places);
  }

  DeviceBuffer<float> states, f, gradients, momenta, proposals, proposal_f, proposal_gradients;
  DeviceBuffer<float> log_ratios, norms, accepted;
};

TEST(ChainCounter, OneCapturedStepOfMalaDrawsTheNumbersOfEveryStep) {
  constexpr std::uint32_t kSteps = 4;
  MalaUpdate update{.epsilon = 0.1F,
                    .momenta = {.seed = 1, .purpose = Purpose::sampling_momentum},
                    .uniforms = {.seed = 1, .purpose = Purpose::sampling_uniform}};
  const CudaStream stream;
  DeviceBuffer<ChainCounter> places(stream, ProposedChains::kChains);
  ProposedChains(stream).step(stream, update, 0, places.data());  // loads the kernels
  ProposedChains replayed(stream);
  ProposedChains stepped(stream);
  set_chain_counters(stream, update.momenta, 3, 10, ProposedChains::kChains, places.data());
  const CudaGraph graph =
      CudaGraph::capture(stream, [&] { replayed.step(stream, update, 0, places.data()); });
  for (update.step = 3; update.step < 3 + kSteps; ++update.step) {
    graph.launch(stream);
    stepped.step(stream, update, 10, nullptr);
    EXPECT_EQ(contents(stream, replayed.momenta), contents(stream, stepped.momenta));
    EXPECT_EQ(contents(stream, replayed.accepted), contents(stream, stepped.accepted));
  }
  EXPECT_EQ(contents(stream, replayed.states), contents(stream, stepped.states));
}

}  // namespace
}  // namespace ebm

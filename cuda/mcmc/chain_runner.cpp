#include "cuda/mcmc/chain_runner.h"

#include <algorithm>
#ifdef EBM_CUDA
#include "cuda/nn/gpu/device_network.h"
#endif

namespace ebm {
namespace {

/// Values moved in a slice: more than the toy's 500 steps either way.
constexpr std::int64_t kValuesOnCpu = std::int64_t{1} << 22;
constexpr std::int64_t kValuesOnDevice = std::int64_t{1} << 25;
#ifdef EBM_CUDA
/// Slices that the host enqueues ahead of the device.
constexpr std::size_t kSlicesAhead = 8;
#endif

}  // namespace

int slice_steps([[maybe_unused]] bool on_cpu, std::int64_t values, int steps) {
  const auto most = [&](std::int64_t at_once) {
    return static_cast<int>(std::clamp<std::int64_t>(at_once / std::max<std::int64_t>(values, 1), 1,
                                                     std::max(steps, 1)));
  };
#ifdef EBM_CUDA
  if (!on_cpu) {
    const int some = most(kValuesOnDevice);
    return some >= steps ? some : steps_in_whole_graphs(some);
  }
#else
  static_cast<void>(kValuesOnDevice);
#endif
  return most(kValuesOnCpu);
}

#ifdef EBM_CUDA
ChainRunner::ChainRunner(Energy& energy)
    : energy_(energy), slices_(energy.queue().on_cpu() ? 0 : kSlicesAhead) {}

/// Waits for the slice of kSlicesAhead before this one: work is always left to the device.
void ChainRunner::slice_begins() {
  if (!slices_.empty()) {
    slices_[slice_].wait();
  }
}

void ChainRunner::slice_ends() {
  if (!slices_.empty()) {
    energy_.queue().stream().record(slices_[slice_]);
    slice_ = (slice_ + 1) % slices_.size();
  }
}
#else
ChainRunner::ChainRunner(Energy& energy) : energy_(energy) {}
void ChainRunner::slice_begins() {}
void ChainRunner::slice_ends() {}
#endif

bool ChainRunner::run(ChainRun run, const Chains& chains, const std::function<bool()>& stop) {
  const int steps = run.steps;
  const int at_once =
      slice_steps(energy_.queue().on_cpu(), chains.count * energy_.state_size(), steps);
  for (int done = 0; done < steps; done += at_once) {
    slice_begins();
    if (stop()) {
      energy_.queue().wait();
      return false;
    }
    run.steps = std::min(at_once, steps - done);
    energy_.run(run, chains);
    run.update.step += static_cast<std::uint32_t>(run.steps);
    slice_ends();
  }
  return true;
}

}  // namespace ebm

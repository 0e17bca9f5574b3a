// Runs of chains that can be stopped on their way.
#pragma once

#include <functional>

#include "cuda/nn/energy.h"
#ifdef EBM_CUDA
#include <cstddef>
#include <vector>

#include "cuda/device/cuda_stream.h"
#endif

namespace ebm {

/// Runs chains that are not recorded, in slices between which it may be stopped. The host goes on
/// while a device is at work, a few slices ahead of it.
class ChainRunner {
 public:
  /// The energy is borrowed.
  explicit ChainRunner(Energy& energy);

  /// All steps, in place. Asks `stop` now and then, after numbers of steps that depend on the sizes
  /// alone. Once it says true, waits and returns false; the states then are somewhere on the way.
  bool run(ChainRun run, const Chains& chains, const std::function<bool()>& stop);

 private:
  void slice_begins();
  void slice_ends();

  Energy& energy_;
#ifdef EBM_CUDA
  std::vector<CudaEvent> slices_;  // the ends of the last ones; none on the CPU
  std::size_t slice_ = 0;
#endif
};

/// The steps between two looks at whether to stop, of a run of `steps` that each move `values`
/// values: on a CPU a second or two, on a device tens of milliseconds of a published ConvNet's
/// steps. All of them, or (on a device) a whole number of graphs.
int slice_steps(bool on_cpu, std::int64_t values, int steps);

}  // namespace ebm

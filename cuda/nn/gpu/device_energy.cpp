#include "cuda/nn/gpu/device_energy.h"

#include <algorithm>

namespace ebm {

void DeviceEnergy::run(const ChainRun& run, const Chains& chains) {
  require_recorded_mala(run, chains);
  if (chains.recorded()) {
    if (!recorded_ || !recorded_->is_for(run, chains)) {
      recorded_.emplace(*this, run, chains);
    }
    recorded_->run(run);
    return;
  }
  for (std::int64_t at = 0; at < chains.count; at += capacity()) {
    langevin(run, chains.part(at, std::min(capacity(), chains.count - at), state_size()));
  }
}

}  // namespace ebm

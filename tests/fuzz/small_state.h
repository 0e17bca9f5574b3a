// The state of a training run with a network of three parameters and a bank of four chains.
#pragma once

#include "host/config/layers.h"
#include "host/training/training_state.h"

namespace ebm {

inline Network small_network() {
  return {"custom", {2, 1, 1}, parse_layers("layers: [linear: {outputs: 1}]", "")};
}

inline TrainingState small_state() {
  TrainConfig config;
  config.data.kind = DataKind::gmm;
  config.optimizer = {.kind = OptimizerKind::adam, .lr = 0.001};
  config.langevin.init = InitialStates::persistent;
  config.langevin.bank_size = 4;
  return initial_state(config, small_network(), 0);
}

/// Of four chains.
inline LongRun small_long_run() {
  LongRun run;
  run.states = Buffer<float>(8);
  return run;
}

}  // namespace ebm

#include "cuda/nn/gpu/recorded_graphs.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "cuda/device/launch.cuh"

namespace ebm {
namespace {

/// A row of records, from those of the chains: U = f/T.
struct EnergiesBody {
  const float* f;
  float temperature;
  float* energies;

  EBM_HOST_DEVICE void operator()(std::int64_t c) const { energies[c] = f[c] / temperature; }
};

/// Columns of several rows, times a factor; or 0.
struct RowsBody {
  std::int64_t chains;
  std::int64_t row;
  float* values;

  EBM_HOST_DEVICE float& at(std::int64_t i) const { return values[i / chains * row + i % chains]; }
};
struct ScaleBody : RowsBody {
  float factor;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const { at(i) *= factor; }
};
struct ClearBody : RowsBody {
  EBM_HOST_DEVICE void operator()(std::int64_t i) const { at(i) = 0; }
};

}  // namespace

RecordedGraphs::RecordedGraphs(Energy& energy, const ChainRun& kind, const Chains& chains)
    : energy_(energy),
      stream_(energy.queue().stream()),
      kind_(kind),
      chains_(chains),
      width_(energy.state_size()),
      counters_(
          DeviceBuffer<ChainCounter>::zeros(stream_, static_cast<std::size_t>(chains.count))) {}

bool RecordedGraphs::is_for(const ChainRun& run, const Chains& chains) const {
  const auto numbers = [](const ChainRun& r) {
    return std::array{r.update.epsilon, r.update.gradient_scale, r.update.lowest, r.update.highest,
                      r.temperature};
  };
  const auto addresses = [](const Chains& c) {
    const ChainMemory& m = c.memory;
    return std::array<const float*, 13>{m.states,
                                        m.f,
                                        m.gradients,
                                        m.momenta,
                                        m.proposals,
                                        m.proposal_f,
                                        m.proposal_gradients,
                                        m.log_ratios,
                                        c.energies,
                                        c.gradient_norms,
                                        c.accepted,
                                        c.given_noise,
                                        c.given_uniforms};
  };
  return run.mala == kind_.mala && numbers(run) == numbers(kind_) &&
         run.update.noise == kind_.update.noise && run.uniforms == kind_.uniforms &&
         chains.count == chains_.count && chains.row_chains() == chains_.row_chains() &&
         addresses(chains) == addresses(chains_) && chains.schedule == chains_.schedule &&
         chains.first == chains_.first;
}

void RecordedGraphs::evaluate(const Chains& chains) {
  energy_.energies_and_gradients(chains.memory.states, chains.count, chains.memory.f,
                                 chains.memory.gradients);
}

void RecordedGraphs::langevin_step(const Chains& chains, int step) {
  evaluate(chains);
  for_each_index(
      stream_, chains.count,
      EnergiesBody{chains.memory.f, kind_.temperature, chains.row_of(chains.energies, step)});
  langevin_update(stream_, kind_.update, 0, static_cast<int>(chains.count), width_,
                  chains.memory.gradients, chains.row_of(chains.given_noise, step, width_),
                  chains.memory.states, chains.row_of(chains.gradient_norms, step),
                  counters_.data() + (chains.first - chains_.first));
}

void RecordedGraphs::mala_step(const Chains& chains, int step) {
  const MalaUpdate update = chains.scheduled(kind_.mala_update(), step);
  const auto count = static_cast<int>(chains.count);
  ChainCounter* const counters = counters_.data() + (chains.first - chains_.first);
  for_each_index(
      stream_, chains.count,
      EnergiesBody{chains.memory.f, kind_.temperature, chains.row_of(chains.energies, step)});
  mala_propose(stream_, update, 0, count, width_, chains.row_of(chains.given_noise, step, width_),
               chains.memory, chains.row_of(chains.gradient_norms, step), counters);
  energy_.energies_and_gradients(chains.memory.proposals, chains.count, chains.memory.proposal_f,
                                 chains.memory.proposal_gradients);
  mala_decide(stream_, update, 0, count, width_, chains.row_of(chains.given_uniforms, step),
              chains.memory, chains.row_of(chains.accepted, step), counters);
}

/// Steps from the one that the chains' counters say. A Langevin step adds to its row of norms.
void RecordedGraphs::steps(const Chains& chains, int count) {
  const std::int64_t norms = count * chains.count;
  const RowsBody rows{chains.count, chains.row_chains(), chains.gradient_norms};
  if (!kind_.mala) {
    for_each_index(stream_, norms, ClearBody{rows});
  }
  for (int step = 0; step < count; ++step) {
    if (kind_.mala) {
      mala_step(chains, step);
    } else {
      langevin_step(chains, step);
    }
  }
  const float scale =
      kind_.mala ? kind_.mala_update().gradient_scale() : kind_.update.gradient_scale;
  for_each_index(stream_, norms, ScaleBody{rows, scale});
}

/// One step of as many chains as it is, before their first is captured: kernels are loaded when
/// they are first launched, which may have to wait for the device, and nothing may while it is
/// captured. In memory of its own: the chains are to stay where they are.
void RecordedGraphs::load_kernels(const Chains& chains) {
  const auto values = [&](std::int64_t count) {
    return DeviceBuffer<float>::zeros(stream_, static_cast<std::size_t>(count));
  };
  std::vector<DeviceBuffer<float>> states;
  std::vector<DeviceBuffer<float>> numbers;
  states.reserve(5);
  numbers.reserve(6);
  for (int i = 0; i < (kind_.mala ? 5 : 2); ++i) {
    states.push_back(values(chains.count * width_));
  }
  for (int i = 0; i < 6; ++i) {
    numbers.push_back(values(chains.count));
  }
  Chains tried = chains;
  tried.memory = {
      .states = states[0].data(), .f = numbers[0].data(), .gradients = states[1].data()};
  if (kind_.mala) {
    tried.memory.momenta = states[2].data();
    tried.memory.proposals = states[3].data();
    tried.memory.proposal_f = numbers[1].data();
    tried.memory.proposal_gradients = states[4].data();
    tried.memory.log_ratios = numbers[2].data();
  }
  tried.energies = numbers[3].data();
  tried.gradient_norms = numbers[4].data();
  tried.accepted = numbers[5].data();
  tried.row = chains.count;
  tried.given_noise = nullptr;
  tried.given_uniforms = nullptr;
  steps(tried, 1);
}

const CudaGraph& RecordedGraphs::graph(const Chains& chains, int count) {
  const std::pair key{count, chains.first};
  auto found = graphs_.find(key);
  if (found == graphs_.end()) {
    const bool is_new_part = std::ranges::none_of(
        graphs_, [&](const auto& captured) { return captured.first.second == chains.first; });
    if (is_new_part) {
      load_kernels(chains);
    }
    found = graphs_.emplace(key, CudaGraph::capture(stream_, [&] { steps(chains, count); })).first;
  }
  return found->second;
}

void RecordedGraphs::run_part(const ChainRun& run, const Chains& chains) {
  const CudaGraph& all = graph(chains, run.steps);
  if (run.mala && !run.evaluated) {
    evaluate(chains);
  }
  set_chain_counters(stream_, run.update.noise, run.update.step, chains.first, chains.count,
                     counters_.data() + (chains.first - chains_.first));
  all.launch(stream_);
}

void RecordedGraphs::run(const ChainRun& run) {
  const std::int64_t most = energy_.capacity();
  for (std::int64_t at = 0; at < chains_.count; at += most) {
    run_part(run, chains_.part(at, std::min(most, chains_.count - at), width_));
  }
}

}  // namespace ebm

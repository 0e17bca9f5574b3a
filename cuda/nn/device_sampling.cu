#include "cuda/nn/device_sampling.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "cuda/device/launch.cuh"

namespace ebm {
namespace {

/// The most steps in one graph: enough that launching it takes no part in a step's time.
constexpr int kGraphSteps = 50;

std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

struct DivideBody {
  const float* from;
  float divisor;
  float* to;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const { to[i] = from[i] / divisor; }
};

struct ScaleBody {
  float factor;
  float* values;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const { values[i] *= factor; }
};

/// A step's row of numbers from outside; null of none.
const float* row_of(const DeviceBuffer<float>& numbers, std::int64_t at) {
  return numbers.size() == 0 ? nullptr : numbers.data() + at;
}

}  // namespace

DeviceSampler::DeviceSampler(const CudaStream& stream, DeviceEnergy& energy,
                             const SamplingSteps& run, std::int64_t most)
    : stream_(stream),
      energy_(energy),
      kind_(run),
      most_(most),
      places_(stream, size(most)),
      states_(stream, size(most * energy.state_size())),
      f_(stream, size(most)),
      gradients_(stream, states_.size()),
      energies_(stream, size(kGraphSteps * most)),
      norms_(stream, energies_.size()) {
  if (run.mala) {
    momenta_ = DeviceBuffer<float>(stream, states_.size());
    proposals_ = DeviceBuffer<float>(stream, states_.size());
    proposal_f_ = DeviceBuffer<float>(stream, f_.size());
    proposal_gradients_ = DeviceBuffer<float>(stream, states_.size());
    log_ratios_ = DeviceBuffer<float>(stream, f_.size());
    accepted_ = DeviceBuffer<float>(stream, energies_.size());
  }
}

bool DeviceSampler::is_for(const SamplingSteps& run, std::int64_t most) const {
  return run.mala == kind_.mala && run.epsilon == kind_.epsilon &&
         run.temperature == kind_.temperature && run.noise == kind_.noise &&
         run.uniforms == kind_.uniforms && most == most_;
}

/// A copy of numbers from outside; none of a null pointer.
DeviceBuffer<float> DeviceSampler::given(const float* all, std::int64_t count) const {
  if (all == nullptr) {
    return {};
  }
  DeviceBuffer<float> copied(stream_, size(count));
  copied.upload(stream_, {all, copied.size()});
  return copied;
}

/// Between host and device, either way.
void DeviceSampler::copy(float* to, const float* from, std::int64_t count) const {
  EBM_CHECK_CUDA(
      cudaMemcpyAsync(to, from, size(count) * sizeof(float), cudaMemcpyDefault, stream_.get()));
}

void DeviceSampler::evaluate(std::int64_t chains) {
  energy_.energies_and_gradients(states_.data(), chains, f_.data(), gradients_.data());
}

void DeviceSampler::record_energies(std::int64_t at, std::int64_t chains) {
  for_each_index(stream_, chains, DivideBody{f_.data(), kind_.temperature, energies_.data() + at});
}

void DeviceSampler::langevin_step(std::int64_t at, std::int64_t chains, const float* noise) {
  evaluate(chains);
  record_energies(at, chains);
  langevin_update(stream_, {.epsilon = kind_.epsilon, .gradient_scale = kind_.gradient_scale()}, 0,
                  static_cast<int>(chains), energy_.state_size(), gradients_.data(), noise,
                  states_.data(), norms_.data() + at, places_.data());
}

void DeviceSampler::mala_step(std::int64_t at, std::int64_t chains, const float* noise,
                              const float* uniforms) {
  const auto count = static_cast<int>(chains);
  const MalaUpdate update{.epsilon = kind_.epsilon,
                          .temperature = kind_.temperature,
                          .momenta = kind_.noise,
                          .uniforms = kind_.uniforms};
  const MalaChains memory{.states = states_.data(),
                          .f = f_.data(),
                          .gradients = gradients_.data(),
                          .momenta = momenta_.data(),
                          .proposals = proposals_.data(),
                          .proposal_f = proposal_f_.data(),
                          .proposal_gradients = proposal_gradients_.data(),
                          .log_ratios = log_ratios_.data()};
  record_energies(at, chains);
  mala_propose(stream_, update, 0, count, energy_.state_size(), noise, memory, norms_.data() + at,
               places_.data());
  energy_.energies_and_gradients(proposals_.data(), chains, proposal_f_.data(),
                                 proposal_gradients_.data());
  mala_decide(stream_, update, 0, count, energy_.state_size(), uniforms, memory,
              accepted_.data() + at, places_.data());
}

/// The step that its chains' places say, recorded in a row. Numbers that are not given are drawn.
void DeviceSampler::step(int row, std::int64_t chains, const float* noise, const float* uniforms) {
  if (kind_.mala) {
    mala_step(row * chains, chains, noise, uniforms);
  } else {
    langevin_step(row * chains, chains, noise);
  }
}

/// One step of so many chains as it is, before the first is captured: kernels are loaded when they
/// are first launched, which may have to wait for the device, and nothing may while it is captured.
/// Leaves nothing in the memory of the chains.
void DeviceSampler::load_kernels(std::int64_t chains) {
  const bool loaded = std::ranges::any_of(
      graphs_, [&](const auto& captured) { return captured.first.second == chains; });
  if (!loaded) {
    step(0, chains, nullptr, nullptr);
  }
}

const CudaGraph& DeviceSampler::graph(int steps, std::int64_t chains) {
  const std::pair key{steps, chains};
  auto found = graphs_.find(key);
  if (found == graphs_.end()) {
    found = graphs_
                .emplace(key, CudaGraph::capture(stream_,
                                                 [&] {
                                                   for (int row = 0; row < steps; ++row) {
                                                     step(row, chains, nullptr, nullptr);
                                                   }
                                                 }))
                .first;
  }
  return found->second;
}

/// Into rows [done, done + steps) of the batch's records.
void DeviceSampler::read_records(const SamplingChains& batch, int done, int steps,
                                 std::int64_t first, std::int64_t chains) {
  const std::int64_t count = steps * chains;
  for_each_index(stream_, count, ScaleBody{kind_.gradient_scale(), norms_.data()});
  std::vector<float> rows(size(count));
  const auto read = [&](const DeviceBuffer<float>& records, float* all) {
    copy(rows.data(), records.data(), count);
    stream_.wait();
    for (std::int64_t row = 0; row < steps; ++row) {
      std::copy_n(rows.data() + row * chains, chains, all + (done + row) * batch.count + first);
    }
  };
  read(energies_, batch.energies);
  read(norms_, batch.gradient_norms);
  if (kind_.mala) {
    read(accepted_, batch.accepted);
  }
}

void DeviceSampler::sample(const SamplingSteps& run, const SamplingChains& batch,
                           std::int64_t first, std::int64_t chains) {
  const std::int64_t width = energy_.state_size();
  const MalaChains& host = batch.memory;
  const bool all_drawn = run.given_noise == nullptr && run.given_uniforms == nullptr;
  if (all_drawn) {
    load_kernels(chains);
  }
  copy(states_.data(), host.states + first * width, chains * width);
  if (run.mala && run.evaluated) {
    copy(f_.data(), host.f + first, chains);
    copy(gradients_.data(), host.gradients + first * width, chains * width);
  } else if (run.mala) {
    evaluate(chains);
  }
  const DeviceBuffer<float> noise = given(run.given_noise, run.steps * batch.count * width);
  const DeviceBuffer<float> uniforms = given(run.given_uniforms, run.steps * batch.count);
  set_places(stream_, run.noise, run.first_step, static_cast<std::uint32_t>(first), chains,
             places_.data());
  for (int done = 0; done < run.steps; done += kGraphSteps) {
    const int steps = std::min(kGraphSteps, run.steps - done);
    EBM_CHECK_CUDA(cudaMemsetAsync(norms_.data(), 0, norms_.size() * sizeof(float),
                                   stream_.get()));  // a Langevin step adds to them
    if (all_drawn) {
      graph(steps, chains).launch(stream_);
    } else {
      for (int row = 0; row < steps; ++row) {
        const std::int64_t at = (done + row) * batch.count + first;
        step(row, chains, row_of(noise, at * width), row_of(uniforms, at));
      }
    }
    read_records(batch, done, steps, first, chains);
  }
  copy(host.states + first * width, states_.data(), chains * width);
  copy(host.f + first, f_.data(), chains);
  copy(host.gradients + first * width, gradients_.data(), chains * width);
  if (run.mala) {
    copy(host.log_ratios + first, log_ratios_.data(), chains);
  }
  stream_.wait();
}

}  // namespace ebm

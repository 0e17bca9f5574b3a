#include "cuda/nn/device_sampling.h"

#include <cstddef>
#include <span>
#include <vector>

#include "cuda/device/device_buffer.h"
#include "cuda/device/launch.cuh"
#include "cuda/kernels/langevin_update.cuh"

namespace ebm {
namespace {

/// The chains' memory on the device and their records, steps × chains.
class DeviceChains {
 public:
  DeviceChains(const CudaStream& stream, DeviceEnergy& energy, const SamplingSteps& run,
               const SamplingChains& batch, std::int64_t first, std::int64_t chains)
      : stream_(stream),
        energy_(energy),
        run_(run),
        batch_(batch),
        first_(first),
        chains_(chains),
        states_(per_component(batch.memory.states)),
        f_(per_chain(batch.memory.f)),
        gradients_(per_component(batch.memory.gradients)),
        energies_(record()),
        norms_(record()) {
    if (run.mala) {
      momenta_ = per_component(nullptr);
      proposals_ = per_component(nullptr);
      proposal_f_ = per_chain(nullptr);
      proposal_gradients_ = per_component(nullptr);
      log_ratios_ = per_chain(nullptr);
      accepted_ = record();
    }
    noise_ = given(run.given_noise, energy.state_size());
    uniforms_ = given(run.given_uniforms, 1);
  }

  void langevin();
  void mala();
  void read_back();

 private:
  static std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }
  std::int64_t state_size() const { return energy_.state_size(); }
  int count() const { return static_cast<int>(chains_); }
  std::uint32_t first_chain() const { return static_cast<std::uint32_t>(first_); }

  /// A copy of this part of the batch's array; uninitialized of none.
  DeviceBuffer<float> values(const float* all, std::int64_t width) const {
    DeviceBuffer<float> mine(stream_, size(chains_ * width));
    if (all != nullptr) {
      mine.upload(stream_, {all + first_ * width, mine.size()});
    }
    return mine;
  }
  DeviceBuffer<float> per_component(const float* all) const { return values(all, state_size()); }
  DeviceBuffer<float> per_chain(const float* all) const { return values(all, 1); }
  DeviceBuffer<float> record() const {
    return DeviceBuffer<float>(stream_, size(run_.steps * chains_));
  }
  /// Numbers from outside, steps × batch × width; none of a null pointer.
  DeviceBuffer<float> given(const float* all, std::int64_t width) const {
    if (all == nullptr) {
      return {};
    }
    DeviceBuffer<float> copy(stream_, size(run_.steps * batch_.count * width));
    copy.upload(stream_, {all, copy.size()});
    return copy;
  }
  const float* given_row(const DeviceBuffer<float>& numbers, int step, std::int64_t width) const {
    return numbers.size() == 0 ? nullptr : numbers.data() + (step * batch_.count + first_) * width;
  }

  /// row[c] = factor·f[c] of a step.
  void record_energies(int step);
  void scale(float factor, DeviceBuffer<float>& values) const;
  void download_rows(const DeviceBuffer<float>& rows, float* all) const;

  const CudaStream& stream_;
  DeviceEnergy& energy_;
  const SamplingSteps& run_;
  const SamplingChains& batch_;
  std::int64_t first_;
  std::int64_t chains_;
  DeviceBuffer<float> states_;
  DeviceBuffer<float> f_;
  DeviceBuffer<float> gradients_;
  DeviceBuffer<float> energies_;
  DeviceBuffer<float> norms_;
  DeviceBuffer<float> momenta_;
  DeviceBuffer<float> proposals_;
  DeviceBuffer<float> proposal_f_;
  DeviceBuffer<float> proposal_gradients_;
  DeviceBuffer<float> log_ratios_;
  DeviceBuffer<float> accepted_;
  DeviceBuffer<float> noise_;
  DeviceBuffer<float> uniforms_;
};

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

void DeviceChains::record_energies(int step) {
  for_each_index(stream_, chains_,
                 DivideBody{f_.data(), run_.temperature, energies_.data() + step * chains_});
}

void DeviceChains::scale(float factor, DeviceBuffer<float>& values) const {
  for_each_index(stream_, static_cast<std::int64_t>(values.size()),
                 ScaleBody{factor, values.data()});
}

void DeviceChains::langevin() {
  LangevinUpdate update{.epsilon = run_.epsilon,
                        .gradient_scale = run_.gradient_scale(),
                        .noise = run_.noise,
                        .step = run_.first_step};
  for (int step = 0; step < run_.steps; ++step, ++update.step) {
    energy_.energies_and_gradients(states_.data(), chains_, f_.data(), gradients_.data());
    record_energies(step);
    langevin_update(stream_, update, first_chain(), count(), state_size(), gradients_.data(),
                    given_row(noise_, step, state_size()), states_.data(),
                    norms_.data() + step * chains_);
  }
}

void DeviceChains::mala() {
  MalaUpdate update{.epsilon = run_.epsilon,
                    .temperature = run_.temperature,
                    .momenta = run_.noise,
                    .uniforms = run_.uniforms,
                    .step = run_.first_step};
  const MalaChains memory{.states = states_.data(),
                          .f = f_.data(),
                          .gradients = gradients_.data(),
                          .momenta = momenta_.data(),
                          .proposals = proposals_.data(),
                          .proposal_f = proposal_f_.data(),
                          .proposal_gradients = proposal_gradients_.data(),
                          .log_ratios = log_ratios_.data()};
  if (!run_.evaluated) {
    energy_.energies_and_gradients(states_.data(), chains_, f_.data(), gradients_.data());
  }
  for (int step = 0; step < run_.steps; ++step, ++update.step) {
    record_energies(step);
    mala_propose(stream_, update, first_chain(), count(), state_size(),
                 given_row(noise_, step, state_size()), memory, norms_.data() + step * chains_);
    energy_.energies_and_gradients(proposals_.data(), chains_, proposal_f_.data(),
                                   proposal_gradients_.data());
    mala_decide(stream_, update, first_chain(), count(), state_size(),
                given_row(uniforms_, step, 1), memory, accepted_.data() + step * chains_);
  }
}

/// Into this part of a steps × batch array.
void DeviceChains::download_rows(const DeviceBuffer<float>& rows, float* all) const {
  std::vector<float> host(rows.size());
  rows.download(stream_, host);
  stream_.wait();
  for (std::int64_t step = 0; step < run_.steps; ++step) {
    std::copy_n(host.data() + step * chains_, chains_, all + step * batch_.count + first_);
  }
}

void DeviceChains::read_back() {
  scale(run_.gradient_scale(), norms_);
  download_rows(energies_, batch_.energies);
  download_rows(norms_, batch_.gradient_norms);
  const auto download = [&](const DeviceBuffer<float>& values, float* all, std::int64_t width) {
    values.download(stream_, {all + first_ * width, values.size()});
  };
  download(states_, batch_.memory.states, state_size());
  download(f_, batch_.memory.f, 1);
  download(gradients_, batch_.memory.gradients, state_size());
  if (run_.mala) {
    download_rows(accepted_, batch_.accepted);
    download(log_ratios_, batch_.memory.log_ratios, 1);
  }
  stream_.wait();
}

}  // namespace

void sample_on_device(const CudaStream& stream, DeviceEnergy& energy, const SamplingSteps& run,
                      const SamplingChains& batch, std::int64_t first, std::int64_t chains) {
  DeviceChains mine(stream, energy, run, batch, first, chains);
  if (run.mala) {
    mine.mala();
  } else {
    mine.langevin();
  }
  mine.read_back();
}

}  // namespace ebm

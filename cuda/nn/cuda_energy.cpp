#include "cuda/nn/cuda_energy.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "cuda/device/device_buffer.h"
#include "cuda/nn/device_network.h"
#include "cuda/nn/device_perceptron.h"
#include "cuda/nn/device_sampling.h"
#include "cuda/nn/perceptron_tile.h"

namespace ebm {

std::unique_ptr<DeviceEnergy> make_device_energy(CudaContext& context, const Network& network,
                                                 std::int64_t capacity) {
  return perceptron_widths(network) ? make_device_perceptron(context, network)
                                    : make_device_network(context, network, capacity);
}

std::size_t device_energy_bytes(const Network& network, std::int64_t capacity,
                                Precision precision) {
  return perceptron_widths(network) ? device_perceptron_bytes(network)
                                    : device_network_bytes(network, capacity, precision);
}

namespace {

class HostEnergy final : public Energy {
 public:
  HostEnergy(std::shared_ptr<CudaContext> context, std::shared_ptr<DeviceEnergy> energy,
             const Network& network)
      : context_(std::move(context)),
        stream_(context_->stream()),
        device_(std::move(energy)),
        energy_(*device_),
        theta_(stream_, static_cast<std::size_t>(network.parameter_count())),
        theta_gradient_(stream_, theta_.size()) {}

  std::int64_t state_size() const override { return energy_.state_size(); }

  void set_parameters(std::span<const float> theta) override {
    theta_.upload(stream_, theta);
    energy_.set_parameters(theta_.data());
  }

  void energies(std::span<const float> states, std::span<float> f) override {
    for_each_part(std::ssize(f), [&](std::int64_t first, std::int64_t count) {
      const DeviceBuffer<float> x = copied(part(states, first, count));
      DeviceBuffer<float> f_of_part(stream_, size(count));
      energy_.energies(x.data(), count, f_of_part.data());
      f_of_part.download(stream_, f.subspan(size(first), size(count)));
    });
  }

  void energies_and_gradients(std::span<const float> states, std::span<float> f,
                              std::span<float> gradients) override {
    for_each_part(std::ssize(f), [&](std::int64_t first, std::int64_t count) {
      const DeviceBuffer<float> x = copied(part(states, first, count));
      DeviceBuffer<float> f_of_part(stream_, size(count));
      DeviceBuffer<float> gradients_of_part(stream_, x.size());
      energy_.energies_and_gradients(x.data(), count, f_of_part.data(), gradients_of_part.data());
      f_of_part.download(stream_, f.subspan(size(first), size(count)));
      gradients_of_part.download(stream_, part(gradients, first, count));
    });
  }

  void add_weight_gradient(std::span<const float> states, float scale, std::span<float> f,
                           std::span<float> theta_gradient) override {
    std::vector<float> gradient_of_part(theta_gradient.size());
    for_each_part(std::ssize(f), [&](std::int64_t first, std::int64_t count) {
      const DeviceBuffer<float> x = copied(part(states, first, count));
      DeviceBuffer<float> f_of_part(stream_, size(count));
      energy_.weight_gradient(x.data(), count, scale, f_of_part.data(), theta_gradient_.data());
      f_of_part.download(stream_, f.subspan(size(first), size(count)));
      theta_gradient_.download(stream_, gradient_of_part);
      stream_.wait();
      std::ranges::transform(theta_gradient, gradient_of_part, theta_gradient.begin(),
                             std::plus<>());
    });
  }

  void langevin(const LangevinSteps& run, std::span<float> states,
                std::span<float> norm_sums) override {
    const DeviceBuffer<float> noise =
        given(run.given_noise, run.steps * run.noise_chains, state_size());
    for_each_part(std::ssize(norm_sums), [&](std::int64_t first, std::int64_t count) {
      DeviceBuffer<float> x = copied(part(states, first, count));
      const std::span<float> sums = norm_sums.subspan(size(first), size(count));
      DeviceBuffer<float> norms = copied(sums);
      LangevinSteps steps = run;
      steps.given_noise = noise.size() == 0 ? nullptr : noise.data() + first * state_size();
      energy_.langevin(steps, static_cast<std::uint32_t>(first), count, x.data(), norms.data());
      x.download(stream_, part(states, first, count));
      norms.download(stream_, sums);
    });
  }

  void sample(const SamplingSteps& run, const SamplingChains& chains) override {
    const std::int64_t most = std::min(chains.count, energy_.capacity());
    if (!sampler_ || !sampler_->is_for(run, most)) {
      sampler_.emplace(stream_, energy_, run, most);
    }
    for_each_part(chains.count, [&](std::int64_t first, std::int64_t count) {
      sampler_->sample(run, chains, first, count);
    });
  }

 private:
  static std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

  /// Calls body(first, count) for parts that the energy can take at once, and waits.
  template <class Body>
  void for_each_part(std::int64_t count, const Body& body) {
    for (std::int64_t first = 0; first < count; first += energy_.capacity()) {
      body(first, std::min(energy_.capacity(), count - first));
    }
    stream_.wait();
  }

  template <class Value>
  std::span<Value> part(std::span<Value> states, std::int64_t first, std::int64_t count) const {
    return states.subspan(size(first * state_size()), size(count * state_size()));
  }

  DeviceBuffer<float> copied(std::span<const float> values) const {
    DeviceBuffer<float> copy(stream_, values.size());
    copy.upload(stream_, values);
    return copy;
  }
  DeviceBuffer<float> given(const float* values, std::int64_t rows, std::int64_t width) const {
    return values == nullptr ? DeviceBuffer<float>()
                             : copied({values, static_cast<std::size_t>(rows * width)});
  }

  std::shared_ptr<CudaContext> context_;
  const CudaStream& stream_;
  std::shared_ptr<DeviceEnergy> device_;
  DeviceEnergy& energy_;
  DeviceBuffer<float> theta_;
  DeviceBuffer<float> theta_gradient_;
  std::optional<DeviceSampler> sampler_;  // of the last sample()
};

}  // namespace

std::unique_ptr<Energy> make_host_energy(std::shared_ptr<CudaContext> context,
                                         std::shared_ptr<DeviceEnergy> energy,
                                         const Network& network) {
  return std::make_unique<HostEnergy>(std::move(context), std::move(energy), network);
}

std::unique_ptr<Energy> make_cuda_energy(const Network& network, std::int64_t capacity,
                                         Precision precision,
                                         const std::filesystem::path& plan_cache) {
  auto context = std::make_shared<CudaContext>(precision, plan_cache);
  std::shared_ptr<DeviceEnergy> energy = make_device_energy(*context, network, capacity);
  return make_host_energy(std::move(context), std::move(energy), network);
}

}  // namespace ebm

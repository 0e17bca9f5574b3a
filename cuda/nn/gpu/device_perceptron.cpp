#include "cuda/nn/gpu/device_perceptron.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "cuda/device/device_buffer.h"
#include "cuda/nn/gpu/device_energy.h"
#include "cuda/nn/gpu/device_filter.h"
#include "cuda/nn/gpu/perceptron_chain.cuh"

namespace ebm {
namespace {

/// More than anybody asks for at once: a call's memory does not depend on its states.
constexpr std::int64_t kCapacity = std::int64_t{1} << 20;

class PerceptronEnergy final : public DeviceEnergy {
 public:
  PerceptronEnergy(std::shared_ptr<CudaContext> context, const Network& network)
      : DeviceEnergy(std::move(context)),
        stream_(queue().stream()),
        state_size_(network.input().size()),
        theta_(stream_, static_cast<std::size_t>(network.parameter_count())),
        perceptron_(make_perceptron(stream_, network)) {}

  std::int64_t state_size() const override { return state_size_; }
  std::int64_t capacity() const override { return kCapacity; }
  void set_parameters(const float* theta) override {
    copy_floats(stream_, theta_.data(), theta, static_cast<std::int64_t>(theta_.size()));
  }
  void energies(const float* states, std::int64_t count, float* f) override {
    perceptron_.evaluate(stream_, theta_.data(), states, count, f, nullptr);
  }
  void energies_and_gradients(const float* states, std::int64_t count, float* f,
                              float* gradients) override {
    perceptron_.evaluate(stream_, theta_.data(), states, count, f, gradients);
  }
  void weight_gradient(const float* states, std::int64_t count, float scale, float* f,
                       float* theta_gradient) override {
    perceptron_.weight_gradient(stream_, theta_.data(), states, count, scale, f, theta_gradient);
  }

 protected:
  void langevin(const ChainRun& run, const Chains& chains) override;

 private:
  static DevicePerceptron make_perceptron(const CudaStream& stream, const Network& network) {
    // A perceptron's parameters are each layer's weight, then its bias.
    std::vector<std::int64_t> weights;
    std::vector<std::int64_t> biases;
    const std::vector<ParameterTensor>& tensors = network.parameters();
    for (std::size_t i = 0; i + 1 < tensors.size(); i += 2) {
      weights.push_back(tensors[i].offset);
      biases.push_back(tensors[i + 1].offset);
    }
    return {stream, *perceptron_widths(network), weights, biases};
  }

  const CudaStream& stream_;
  std::int64_t state_size_;
  DeviceBuffer<float> theta_;
  DevicePerceptron perceptron_;
};

void PerceptronEnergy::langevin(const ChainRun& run, const Chains& chains) {
  const auto enqueue = [&](const LangevinUpdate& update, int steps, const float* noise) {
    perceptron_.langevin(stream_, theta_.data(), update, steps, chains.first, chains.count, noise,
                         chains.memory.states, chains.norm_sums);
  };
  if (chains.given_noise == nullptr || chains.row_chains() == chains.count) {
    return enqueue(run.update, run.steps, chains.given_noise);
  }
  // Noise of more chains than these: step by step, so that a step's is in one piece.
  for (int step = 0; step < run.steps; ++step) {
    enqueue(run.update, 1, chains.row_of(chains.given_noise, step, state_size_));
  }
}

}  // namespace

std::unique_ptr<Energy> make_device_perceptron(std::shared_ptr<CudaContext> context,
                                               const Network& network) {
  return std::make_unique<PerceptronEnergy>(std::move(context), network);
}

std::size_t device_perceptron_bytes(const Network& network) {
  constexpr std::size_t kScratch = std::size_t{64} << 20;
  return static_cast<std::size_t>(network.parameter_count()) * sizeof(float) + kScratch;
}

}  // namespace ebm

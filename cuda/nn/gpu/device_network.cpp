#include "cuda/nn/gpu/device_network.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "cuda/device/bfloat16.cuh"
#include "cuda/device/cuda_graph.h"
#include "cuda/kernels/channel_order.cuh"
#include "cuda/nn/gpu/convolution_pattern.h"
#include "cuda/nn/gpu/device_energy.h"
#include "cuda/nn/gpu/device_filter.h"
#include "cuda/nn/gpu/gpu_operation.h"
#include "cuda/nn/lowering.h"

namespace ebm {
namespace {

template <class T>
DeviceBuffer<T> gpu_zeros(const GpuBatch& batch, std::int64_t per_image) {
  return DeviceBuffer<T>::zeros(batch.stream, static_cast<std::size_t>(batch.images * per_image));
}

template <class T>
class DeviceNetwork final : public DeviceEnergy {
 public:
  DeviceNetwork(std::shared_ptr<CudaContext> context, const Network& network,
                std::int64_t capacity);

  std::int64_t state_size() const override { return state_size_; }
  std::int64_t capacity() const override { return batch_.images; }
  void set_parameters(const float* theta) override;
  void energies(const float* states, std::int64_t count, float* f) override;
  void energies_and_gradients(const float* states, std::int64_t count, float* f,
                              float* gradients) override;
  void weight_gradient(const float* states, std::int64_t count, float scale, float* f,
                       float* theta_gradient) override;
  std::int64_t feature_size() const { return head_.in.size(); }
  /// What the head is given.
  void features(const float* states, std::int64_t count, float* to);

 protected:
  void langevin(const ChainRun& run, const Chains& chains) override;

 private:
  void load(const float* states, std::int64_t count);
  void forward();
  void backward();
  void step(const LangevinUpdate& update, std::int64_t chains, const float* noise,
            ChainCounter* counters);
  void capture(const LangevinUpdate& update);

  const CudaStream& stream_;
  GpuBatch batch_;
  std::int64_t state_size_;
  Operation head_;

  DeviceBuffer<float> states_;
  DeviceBuffer<float> state_gradients_;
  DeviceBuffer<float> f_;
  DeviceBuffer<float> norm_sums_;
  DeviceBuffer<ChainCounter> counters_;

  NetworkEnds ends_;
  std::vector<DeviceBuffer<T>> values_;
  std::vector<DeviceBuffer<T>> gradients_;
  std::vector<std::unique_ptr<GpuOperation>> operations_;

  /// Some steps, captured with the numbers that their kernels got by value.
  struct Graphs {
    LangevinUpdate update;
    std::array<CudaGraph, kGraphSteps.size()> of_steps;
  };
  std::optional<Graphs> graphs_;
};

template <class T>
DeviceNetwork<T>::DeviceNetwork(std::shared_ptr<CudaContext> context, const Network& network,
                                std::int64_t capacity)
    : DeviceEnergy(std::move(context)),
      stream_(queue().stream()),
      batch_{this->context(), stream_, static_cast<int>(capacity)},
      state_size_(network.input().size()),
      states_(gpu_zeros<float>(batch_, state_size_)),
      state_gradients_(gpu_values<float>(batch_, state_size_)),
      f_(gpu_values<float>(batch_, 1)),
      norm_sums_(gpu_zeros<float>(batch_, 1)),
      counters_(gpu_zeros<ChainCounter>(batch_, 1)),
      ends_{.states = states_.data(), .gradients = state_gradients_.data(), .f = f_.data()} {
  const LoweredNetwork lowered = lower(network, Executor::gpu);
  const auto of_batch = [this](std::int64_t size) { return gpu_values<T>(batch_, size); };
  std::ranges::transform(lowered.values, std::back_inserter(values_), of_batch);
  std::ranges::transform(lowered.gradients, std::back_inserter(gradients_), of_batch);
  batch_.context.compile_ahead(
      library_convolutions(network, batch_.images, batch_.context.precision()));
  head_ = lowered.operations.back();
  for (const Operation& operation : lowered.operations) {
    operations_.push_back(operation.type->gpu->make(
        batch_, operation, memory_of<T>(operation.memory, ends_, values_, gradients_)));
  }
  batch_.context.forget_compiled();
}

template <class T>
void DeviceNetwork<T>::set_parameters(const float* theta) {
  for (const auto& operation : operations_) {
    operation->set_parameters(theta);
  }
}

/// Brings states in; a batch that is not full is filled up with zeros.
template <class T>
void DeviceNetwork<T>::load(const float* states, std::int64_t count) {
  copy_floats(stream_, states_.data(), states, count * state_size_);
  if (count < capacity()) {
    EBM_CHECK_CUDA(cudaMemsetAsync(
        states_.data() + count * state_size_, 0,
        static_cast<std::size_t>((capacity() - count) * state_size_) * sizeof(float),
        stream_.get()));
  }
}

/// All but the head: its f is not what a gradient is made of.
template <class T>
void DeviceNetwork<T>::forward() {
  std::for_each(operations_.begin(), operations_.end() - 1,
                [](const auto& operation) { operation->forward(); });
}

/// ∇ₓf of all states.
template <class T>
void DeviceNetwork<T>::backward() {
  ends_.df = 1;
  ends_.live = capacity();
  std::for_each(operations_.rbegin(), operations_.rend(),
                [](const auto& operation) { operation->backward(); });
}

template <class T>
void DeviceNetwork<T>::energies(const float* states, std::int64_t count, float* f) {
  load(states, count);
  forward();
  operations_.back()->forward();
  copy_floats(stream_, f, f_.data(), count);
}

template <class T>
void DeviceNetwork<T>::features(const float* states, std::int64_t count, float* to) {
  load(states, count);
  forward();
  // Of a flat input, which has one pixel, a copy.
  to_channel_major(stream_, count, head_.in.channels, pixels(head_.in),
                   values_[static_cast<std::size_t>(head_.memory.x)].data(), to);
}

template <class T>
void DeviceNetwork<T>::energies_and_gradients(const float* states, std::int64_t count, float* f,
                                              float* gradients) {
  energies(states, count, f);
  backward();
  copy_floats(stream_, gradients, state_gradients_.data(), count * state_size_);
}

template <class T>
void DeviceNetwork<T>::weight_gradient(const float* states, std::int64_t count, float scale,
                                       float* f, float* theta_gradient) {
  energies(states, count, f);
  ends_.df = scale;
  ends_.live = count;
  for (std::size_t i = operations_.size(); i-- > 0;) {
    if (i > 0) {
      operations_[i]->backward();
    }
    operations_[i]->weight_gradient(theta_gradient);
  }
}

template <class T>
void DeviceNetwork<T>::step(const LangevinUpdate& update, std::int64_t chains, const float* noise,
                            ChainCounter* counters) {
  forward();
  backward();
  langevin_update(stream_, update, 0, static_cast<int>(chains), state_size(),
                  state_gradients_.data(), noise, states_.data(), norm_sums_.data(), counters);
}

/// Makes graphs_ those of such steps. Leaves nothing in states_, norm_sums_ and counters_.
template <class T>
void DeviceNetwork<T>::capture(const LangevinUpdate& update) {
  const auto numbers = [](const LangevinUpdate& u) {
    return std::array{u.epsilon, u.gradient_scale, u.lowest, u.highest};
  };
  if (graphs_ && numbers(graphs_->update) == numbers(update)) {
    return;
  }
  // Once as it is: kernels are loaded when they are first launched, which may have to wait for the
  // device, and nothing may while it is captured.
  step(update, capacity(), nullptr, counters_.data());
  const auto steps = [&](int count) {
    return CudaGraph::capture(stream_, [&] {
      for (int i = 0; i < count; ++i) {
        step(update, capacity(), nullptr, counters_.data());
      }
    });
  };
  graphs_.emplace(
      Graphs{update, {steps(kGraphSteps[0]), steps(kGraphSteps[1]), steps(kGraphSteps[2])}});
}

template <class T>
void DeviceNetwork<T>::langevin(const ChainRun& run, const Chains& chains) {
  const bool drawn = chains.given_noise == nullptr;
  if (drawn) {
    capture(run.update);
  }
  load(chains.memory.states, chains.count);
  copy_floats(stream_, norm_sums_.data(), chains.norm_sums, chains.count);
  if (drawn) {
    set_chain_counters(stream_, run.update.noise, run.update.step, chains.first, capacity(),
                       counters_.data());
    int left = run.steps;
    for (std::size_t i = 0; i < kGraphSteps.size(); ++i) {
      for (; left >= kGraphSteps[i]; left -= kGraphSteps[i]) {
        graphs_->of_steps[i].launch(stream_);
      }
    }
  } else {
    for (int i = 0; i < run.steps; ++i) {
      step(run.update, chains.count, chains.row_of(chains.given_noise, i, state_size()), nullptr);
    }
  }
  copy_floats(stream_, chains.memory.states, states_.data(), chains.count * state_size_);
  copy_floats(stream_, chains.norm_sums, norm_sums_.data(), chains.count);
}

template <class T>
class DeviceFeatures final : public Features {
 public:
  DeviceFeatures(std::shared_ptr<CudaContext> context, const Network& network,
                 std::int64_t capacity)
      : network_(std::move(context), network, capacity) {}

  const Queue& queue() const override { return network_.queue(); }
  std::int64_t state_size() const override { return network_.state_size(); }
  std::int64_t size() const override { return network_.feature_size(); }
  std::int64_t capacity() const override { return network_.capacity(); }
  void set_parameters(const float* theta) override { network_.set_parameters(theta); }
  void compute(const float* states, std::int64_t count, float* features) override {
    network_.features(states, count, features);
  }

 private:
  DeviceNetwork<T> network_;
};

template <template <class> class Made, class Interface>
std::unique_ptr<Interface> make_in_precision(std::shared_ptr<CudaContext> context,
                                             const Network& network, std::int64_t capacity) {
  if (context->precision() == Precision::bf16) {
    return std::make_unique<Made<Bfloat16>>(std::move(context), network, capacity);
  }
  return std::make_unique<Made<float>>(std::move(context), network, capacity);
}

}  // namespace

std::unique_ptr<Features> make_device_features(std::shared_ptr<CudaContext> context,
                                               const Network& network, std::int64_t capacity) {
  return make_in_precision<DeviceFeatures, Features>(std::move(context), network, capacity);
}

std::unique_ptr<Energy> make_device_network(std::shared_ptr<CudaContext> context,
                                            const Network& network, std::int64_t capacity) {
  return make_in_precision<DeviceNetwork, Energy>(std::move(context), network, capacity);
}

std::size_t device_network_bytes(const Network& network, std::int64_t capacity,
                                 Precision precision) {
  const GpuBytes bytes =
      gpu_bytes(lower(network, Executor::gpu), static_cast<int>(capacity), precision);
  // States and their gradients; energies, sums of norms and counters.
  const std::int64_t ends = 4 * capacity * (2 * network.input().size() + 16);
  return static_cast<std::size_t>(bytes.own + bytes.shared + ends);
}

}  // namespace ebm

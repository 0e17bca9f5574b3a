#include "cuda/nn/layers/head.h"

#include <algorithm>
#include <array>
#include <functional>

#include "cuda/kernels/channel_order.cuh"
#include "cuda/kernels/energy_head.cuh"
#include "cuda/nn/cpu/cpu_operation.h"
#include "cuda/nn/layers/convolution.h"
#ifdef EBM_CUDA
#include <optional>

#include "cuda/nn/gpu/device_filter.h"
#include "cuda/nn/gpu/gpu_operation.h"
#endif

namespace ebm {
namespace {

/// Weights channels last, in the order of its input; 1 and 0 where there are none.
class CpuHeadPlan final : public CpuPlan {
 public:
  CpuHeadPlan(const Operation& operation, const CpuTile& tile)
      : operation_(operation),
        tile_(tile),
        weights_(static_cast<std::size_t>(operation.in.size())) {
    std::ranges::fill(weights_.span(), 1.0F);
  }

  void set_parameters(const float* theta) override {
    for (const StackedParameters& head : operation_.parameters) {
      to_channels_last(1, head.channels, head.positions, theta + head.parts.front().weight,
                       weights_.data());
      bias_ = theta[head.parts.front().bias];
    }
  }
  std::unique_ptr<CpuOperation> bind(const CpuMemory& memory) const override;

  const Operation& operation() const { return operation_; }
  int images() const { return tile_.chains; }
  const float* weights() const { return weights_.data(); }
  float bias() const { return bias_; }

 private:
  Operation operation_;
  CpuTile tile_;
  Buffer<float> weights_;
  float bias_ = 0;
};

class CpuHead final : public CpuOperation {
 public:
  CpuHead(const CpuHeadPlan& plan, const CpuMemory& memory)
      : plan_(plan),
        memory_(memory),
        inputs_(plan.operation().in.size()),
        f_(static_cast<std::size_t>(plan.images())),
        df_(static_cast<std::size_t>(plan.images())),
        in_order_(static_cast<std::size_t>(inputs_)) {}

  void forward() override {
    energy_head_forward(plan_.images(), inputs_, plan_.weights(), plan_.bias(), memory_.x,
                        f_.data());
    std::copy_n(f_.data(), memory_.ends->live, memory_.ends->f);
  }
  void backward() override {
    std::ranges::fill(df_.span(), 0.0F);
    std::fill_n(df_.data(), memory_.ends->live, memory_.ends->df);
    energy_head_backward(plan_.images(), inputs_, plan_.weights(), df_.data(), memory_.dx);
  }
  void weight_gradient(float* gradient) override {
    if (has_parameters()) {
      gradient[inputs_] =
          energy_head_weight_gradient(plan_.images(), inputs_, df_.data(), memory_.x, gradient);
    }
  }
  std::int64_t gradient_values() const override { return has_parameters() ? inputs_ + 1 : 0; }
  void add_gradient(float* gradient, float* theta_gradient) override {
    for (const StackedParameters& head : plan_.operation().parameters) {
      to_channel_major(1, head.channels, head.positions, gradient, in_order_.data());
      float* const weight = theta_gradient + head.parts.front().weight;
      std::transform(in_order_.data(), in_order_.data() + inputs_, weight, weight, std::plus<>());
      theta_gradient[head.parts.front().bias] += gradient[inputs_];
    }
  }

 private:
  bool has_parameters() const { return !plan_.operation().parameters.empty(); }

  const CpuHeadPlan& plan_;
  CpuMemory memory_;
  std::int64_t inputs_;
  Buffer<float> f_;
  Buffer<float> df_;
  Buffer<float> in_order_;
};

std::unique_ptr<CpuOperation> CpuHeadPlan::bind(const CpuMemory& memory) const {
  return std::make_unique<CpuHead>(*this, memory);
}

std::unique_ptr<CpuPlan> plan_head(const Operation& operation, const CpuTile& tile) {
  return std::make_unique<CpuHeadPlan>(operation, tile);
}

CpuBytes cpu_head_bytes(const Operation& operation, const CpuTile& tile) {
  const std::int64_t weights = 4 * operation.in.size();
  return {.shared = weights,
          .own = weights + 2 * 4 * tile.chains,
          .gradient = operation.parameters.empty() ? 0 : weights + 4};
}

#ifdef EBM_CUDA
template <class T>
class GpuHead final : public GpuOperation {
 public:
  GpuHead(const GpuBatch& batch, const Operation& operation, const OperationMemory<T>& memory)
      : batch_(batch),
        inputs_(operation.in.size()),
        input_is_leaky_(operation.input_is_leaky),
        memory_(memory) {
    if (operation.parameters.empty()) {
      identity_ = DeviceBuffer<float>(batch.stream, 2);
      identity_.upload(batch.stream, std::array{1.0F, 0.0F});
    } else {
      filter_.emplace(batch.stream, operation.parameters.front(), true);
    }
  }

  void set_parameters(const float* theta) override {
    if (filter_) {
      filter_->load(theta);
    }
  }
  void forward() override {
    energy_head_forward(batch_.stream, batch_.images, inputs_, weight(), bias(), memory_.x,
                        memory_.ends->f);
  }
  void backward() override {
    energy_head_backward(batch_.stream, batch_.images, inputs_, weight(), memory_.ends->df,
                         memory_.ends->live, input_is_leaky_ ? memory_.x : nullptr, memory_.dx);
  }
  void weight_gradient(float* theta_gradient) override {
    if (filter_) {
      energy_head_weight_gradient(batch_.stream, memory_.ends->live, inputs_, memory_.ends->df,
                                  memory_.x, filter_->weight_gradient(), filter_->bias_gradient());
      filter_->store_gradient(theta_gradient);
    }
  }

 private:
  const float* weight() const { return filter_ ? filter_->weight() : identity_.data(); }
  const float* bias() const { return filter_ ? filter_->bias() : identity_.data() + 1; }

  GpuBatch batch_;
  std::int64_t inputs_;
  bool input_is_leaky_;
  OperationMemory<T> memory_;
  std::optional<Filter<float>> filter_;
  DeviceBuffer<float> identity_;  // weight 1, bias 0
};

constexpr GpuFactory kGpuHead = gpu_factory<GpuHead>();
#endif

}  // namespace

constinit const OperationType kHead = {
    .name = "head",
    .plan_for_cpu = plan_head,
    .cpu_bytes = cpu_head_bytes,
#ifdef EBM_CUDA
    .gpu = &kGpuHead,
    .gpu_bytes = [](const Operation& operation, int /*images*/, Precision /*precision*/)
        -> GpuBytes { return {.own = filter_bytes(operation.parameters)}; },
#endif
    .count = count_products,
};

}  // namespace ebm

#include "cuda/nn/cpu/convolution_operation.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/nn/cpu/first_layer_gradient.h"
#include "cuda/nn/layers/states.h"

namespace ebm {
namespace {

Epilogue epilogue_of(const Operation& operation) {
  return operation.leaky_relu ? Epilogue::leaky_relu : Epilogue::store;
}

class ConvolutionOperationPlan : public CpuPlan {
 public:
  ConvolutionOperationPlan(const Operation& operation, const CpuTile& tile)
      : operation_(operation),
        convolution_(std::make_shared<ConvolutionPlan>(convolution_shape(tile.chains, operation),
                                                       epilogue_of(operation), tile.factors)),
        images_(tile.chains) {}

  void set_parameters(const float* theta) override {
    ebm::set_parameters(*convolution_, parameters(), theta);
  }
  std::unique_ptr<CpuOperation> bind(const CpuMemory& memory) const override;
  std::int64_t scratch_values() const override { return convolution_->scratch_values(); }

  const Operation& operation() const { return operation_; }
  const StackedParameters& parameters() const { return operation_.parameters.front(); }
  const std::shared_ptr<ConvolutionPlan>& convolution() const { return convolution_; }
  int images() const { return images_; }

 private:
  Operation operation_;
  std::shared_ptr<ConvolutionPlan> convolution_;
  int images_;
};

class CpuConvolution final : public CpuOperation {
 public:
  CpuConvolution(const ConvolutionOperationPlan& plan, const CpuMemory& memory)
      : plan_(plan),
        memory_(memory),
        convolution_(plan.convolution(), memory.x, memory.y, memory.dx, memory.dy, memory.scratch) {
  }

  void forward() override {
    convolution_.forward();
    relu_to_take_back_ = plan_.operation().leaky_relu;
  }
  void backward() override {
    if (convolution_.takes_relu_back()) {
      convolution_.backward_with_relu();
      return;
    }
    take_relu_back();
    convolution_.backward();
  }
  void weight_gradient(float* gradient) override {
    take_relu_back();
    convolution_.weight_gradient(gradient);
  }
  std::int64_t gradient_values() const override { return convolution_.gradient_values(); }
  void add_gradient(float* gradient, float* theta_gradient) override {
    convolution_.reorder_to_plain(gradient);
    ebm::add_gradient(convolution_, plan_.parameters(), theta_gradient);
  }

 private:
  /// dy becomes the gradient before the LeakyReLU, unless it is already.
  void take_relu_back() {
    if (std::exchange(relu_to_take_back_, false)) {
      leaky_relu_backward({}, plan_.images() * plan_.operation().out.size(), memory_.y, memory_.dy,
                          memory_.dy);
    }
  }

  const ConvolutionOperationPlan& plan_;
  CpuMemory memory_;
  Convolution convolution_;
  bool relu_to_take_back_ = false;  // dy is the gradient behind a LeakyReLU
};

std::unique_ptr<CpuOperation> ConvolutionOperationPlan::bind(const CpuMemory& memory) const {
  return std::make_unique<CpuConvolution>(*this, memory);
}

/// The shape, where image_gradient does it.
bool is_for_image_gradient(const Operation& operation) {
  return operation.stride == 1 && operation.padding < operation.kernel;
}

ImageConvolution image_convolution(const Operation& operation) {
  return {.in_channels = operation.in.channels,
          .height = operation.in.height,
          .width = operation.in.width,
          .out_channels = operation.out.channels,
          .kernel = operation.kernel,
          .padding = operation.padding};
}

class ImageConvolutionPlan final : public ConvolutionOperationPlan {
 public:
  ImageConvolutionPlan(const Operation& operation, const CpuTile& tile)
      : ConvolutionOperationPlan(operation, tile) {
    if (is_for_image_gradient(operation)) {
      backward_.emplace(image_convolution(operation));
    }
  }

  void set_parameters(const float* theta) override {
    ConvolutionOperationPlan::set_parameters(theta);
    if (backward_) {
      backward_->set(theta + parameters().parts.front().weight);
    }
  }
  std::unique_ptr<CpuOperation> bind(const CpuMemory& memory) const override;

  /// Null where the shape is not one of image_gradient's.
  const ImageGradientWeights* backward() const { return backward_ ? &*backward_ : nullptr; }

 private:
  std::optional<ImageGradientWeights> backward_;
};

Buffer<float> tile_values(int images, const Shape& shape) {
  return Buffer<float>(static_cast<std::size_t>(images * shape.size()));
}

/// A convolution of states in the order of activations, and image_gradient where that does it.
class CpuImageConvolution final : public CpuOperation {
 public:
  CpuImageConvolution(const ImageConvolutionPlan& plan, const CpuMemory& memory)
      : plan_(plan),
        memory_(memory),
        x_(tile_values(plan.images(), plan.operation().in)),
        dx_(tile_values(plan.backward() == nullptr ? plan.images() : 0, plan.operation().in)),
        scratch_(plan.backward() == nullptr ? 0
                                            : static_cast<std::size_t>(image_gradient_scratch(
                                                  plan.backward()->convolution()))),
        states_(
            PlainBatch<float>{.images = plan.images(),
                              .operation = {.in = plan.operation().in},
                              .memory = {.ends = memory.ends, .y = x_.data(), .dy = dx_.data()}}),
        convolution_(plan, with_states(memory, x_.data(), dx_.data())) {}

  void forward() override {
    states_.forward();
    convolution_.forward();
  }
  void backward() override {
    if (plan_.backward() == nullptr) {
      convolution_.backward();
      states_.backward();
      return;
    }
    const NetworkEnds& ends = *memory_.ends;
    const std::int64_t outputs = plan_.operation().out.size();
    const std::int64_t inputs = plan_.operation().in.size();
    for (std::int64_t chain = 0; chain < ends.live; ++chain) {
      const std::int64_t at = chain * outputs;
      image_gradient(*plan_.backward(), memory_.dy + at,
                     plan_.operation().leaky_relu ? memory_.y + at : nullptr, scratch_.data(),
                     ends.gradients + chain * inputs);
    }
  }
  void weight_gradient(float* gradient) override { convolution_.weight_gradient(gradient); }
  std::int64_t gradient_values() const override { return convolution_.gradient_values(); }
  void add_gradient(float* gradient, float* theta_gradient) override {
    convolution_.add_gradient(gradient, theta_gradient);
  }

 private:
  static CpuMemory with_states(CpuMemory memory, float* x, float* dx) {
    memory.x = x;
    memory.dx = dx;
    return memory;
  }

  const ImageConvolutionPlan& plan_;
  CpuMemory memory_;
  Buffer<float> x_;   // channels last
  Buffer<float> dx_;  // where image_gradient does not give the states' gradients
  Buffer<float> scratch_;
  States<float> states_;
  CpuConvolution convolution_;
};

std::unique_ptr<CpuOperation> ImageConvolutionPlan::bind(const CpuMemory& memory) const {
  return std::make_unique<CpuImageConvolution>(*this, memory);
}

}  // namespace

std::unique_ptr<CpuPlan> plan_convolution(const Operation& operation, const CpuTile& tile) {
  return std::make_unique<ConvolutionOperationPlan>(operation, tile);
}

std::unique_ptr<CpuPlan> plan_image_convolution(const Operation& operation, const CpuTile& tile) {
  return std::make_unique<ImageConvolutionPlan>(operation, tile);
}

CpuBytes cpu_convolution_bytes(const Operation& operation, const CpuTile& tile) {
  return convolution_bytes(convolution_shape(tile.chains, operation), epilogue_of(operation),
                           tile.factors);
}

CpuBytes cpu_image_convolution_bytes(const Operation& operation, const CpuTile& tile) {
  CpuBytes bytes = cpu_convolution_bytes(operation, tile);
  const std::int64_t states = std::int64_t{4} * tile.chains * operation.in.size();  // channels last
  bytes.own += states;
  if (is_for_image_gradient(operation)) {
    bytes.shared += 4 * operation.parameters.front().count();
    bytes.own += 4 * image_gradient_scratch(image_convolution(operation));
  } else {
    bytes.own += states;
  }
  return bytes;
}

void set_parameters(ConvolutionPlan& plan, const StackedParameters& parameters,
                    const float* theta) {
  std::int64_t first = 0;
  for (const StackedParameters::Part& part : parameters.parts) {
    std::copy_n(theta + part.weight, part.outputs * parameters.inputs(),
                plan.weights().data() + first * parameters.inputs());
    std::copy_n(theta + part.bias, part.outputs, plan.bias().data() + first);
    first += part.outputs;
  }
  plan.prepare();
}

void add_gradient(const Convolution& from, const StackedParameters& parameters,
                  float* theta_gradient) {
  const auto add = [theta_gradient](std::int64_t count, const float* values, std::int64_t at) {
    std::transform(values, values + count, theta_gradient + at, theta_gradient + at, std::plus<>());
  };
  std::int64_t first = 0;
  for (const StackedParameters::Part& part : parameters.parts) {
    add(part.outputs * parameters.inputs(),
        from.weights_gradient().data() + first * parameters.inputs(), part.weight);
    add(part.outputs, from.bias_gradient().data() + first, part.bias);
    first += part.outputs;
  }
}

}  // namespace ebm

#include "cuda/nn/gpu/cudnn/cudnn_convolution.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <variant>

#include "cuda/base/ceil_div.h"
#include "cuda/device/bfloat16.cuh"
#include "cuda/device/device_buffer.h"
#include "cuda/nn/gpu/convolution_epilogue.h"
#include "cuda/nn/gpu/cudnn/plan_choice.h"
#include "cuda/nn/gpu/linear_convolution.h"
#include "cuda/nn/gpu/subpixels.cuh"
#include "cuda/nn/gpu/widen.cuh"

namespace ebm {
namespace {

std::int64_t input_values(const ConvolutionShape& shape) {
  return std::int64_t{shape.images} * shape.height * shape.width * shape.in_channels;
}
std::int64_t output_pixels(const ConvolutionShape& shape) {
  return std::int64_t{shape.images} * shape.out_height() * shape.out_width();
}
std::int64_t output_values(const ConvolutionShape& shape) {
  return output_pixels(shape) * shape.out_channels;
}
std::int64_t weight_values(const ConvolutionShape& shape) {
  return std::int64_t{shape.out_channels} * shape.kernel * shape.kernel * shape.in_channels;
}

/// Bytes of floats, up to the next place that any device's loads like to begin at.
std::size_t float_bytes(std::int64_t values) {
  constexpr std::size_t kAlignment = 256;
  return round_up(static_cast<std::size_t>(values) * sizeof(float), kAlignment);
}

/// Bytes of weight_gradient()'s float copies of x and dy.
std::size_t copy_bytes(const ConvolutionPattern& pattern) {
  return pattern.precision == Precision::bf16
             ? float_bytes(input_values(pattern.shape)) + float_bytes(output_values(pattern.shape))
             : 0;
}

std::size_t subpixel_bytes(const ConvolutionShape& shape) {
  return has_subpixels(shape) ? float_bytes(output_values(subpixel_convolution(shape))) : 0;
}

}  // namespace

struct CudnnConvolution::Plans {
  const ConvolutionLibraries& libraries;
  ConvolutionPattern pattern;
  std::optional<PassPlan> forward = std::nullopt;
  std::optional<PassPlan> input_gradient = std::nullopt;
  std::optional<PassPlan> weight_gradient = std::nullopt;
  DeviceBuffer<std::byte> subpixel_weight{};  ///< where the input gradient needs it

  /// Chooses a plan for each pass. False when one has none.
  bool choose(const PlanCache& cache);

  // What the convolution's functions do, with any plan of the pass.
  void run_forward(const PassPlan& pass, const void* x, const void* weight, const float* bias,
                   void* y, void* workspace) const;
  void run_input_gradient(const PassPlan& pass, const void* dy, const void* weight, const void* x,
                          void* dx, void* workspace) const;
  void run_weight_gradient(const PassPlan& pass, const void* x, const void* dy, float* dweight,
                           void* workspace) const;
};

void CudnnConvolution::Plans::run_forward(const PassPlan& pass, const void* x, const void* weight,
                                          const float* bias, void* y, void* workspace) const {
  if (const auto* const linear = std::get_if<LtPlan>(&pass.plan)) {
    linear_forward(*libraries.cublas_lt, pattern, *linear, x, weight, bias, y, workspace);
    return;
  }
  const auto& plan = std::get<CudnnPlan>(pass.plan);
  if (pass.form == GraphForm::fused) {
    plan.run(libraries.cudnn, {{kX, x}, {kW, weight}, {kB, bias}, {kY, y}}, workspace);
  } else {
    plan.run(libraries.cudnn, {{kX, x}, {kW, weight}, {kY, y}}, workspace);
    finish_forward(libraries.cudnn.stream(), pattern, bias, y);
  }
}

void CudnnConvolution::Plans::run_input_gradient(const PassPlan& pass, const void* dy,
                                                 const void* weight, const void* x, void* dx,
                                                 void* workspace) const {
  if (const auto* const linear = std::get_if<LtPlan>(&pass.plan)) {
    linear_input_gradient(*libraries.cublas_lt, pattern, *linear, dy, weight, x, dx, workspace);
    return;
  }
  const auto& plan = std::get<CudnnPlan>(pass.plan);
  switch (pass.form) {
    case GraphForm::plain:
      plan.run(libraries.cudnn, {{kDy, dy}, {kW, weight}, {kDx, dx}}, workspace);
      finish_input_gradient(libraries.cudnn.stream(), pattern, x, dx);
      break;
    case GraphForm::fused:
      plan.run(libraries.cudnn, {{kDy, dy}, {kW, weight}, {kX, x}, {kDx, dx}}, workspace);
      break;
    case GraphForm::subpixels: {
      auto* const bytes = static_cast<std::byte*>(workspace);
      plan.run(libraries.cudnn, {{kX, dy}, {kW, subpixel_weight.data()}, {kY, bytes}},
               bytes + subpixel_bytes(pattern.shape));
      finish_subpixels(libraries.cudnn.stream(), pattern, bytes, x, dx);
    }
  }
}

void CudnnConvolution::Plans::run_weight_gradient(const PassPlan& pass, const void* x,
                                                  const void* dy, float* dweight,
                                                  void* workspace) const {
  if (const auto* const linear = std::get_if<LtPlan>(&pass.plan)) {
    linear_weight_gradient(*libraries.cublas_lt, *linear, x, dy, dweight, workspace);
    return;
  }
  if (pattern.precision == Precision::bf16) {
    const CudaStream& stream = libraries.cudnn.stream();
    const std::int64_t inputs = input_values(pattern.shape);
    const std::int64_t outputs = output_values(pattern.shape);
    auto* const bytes = static_cast<std::byte*>(workspace);
    auto* const wide_x = reinterpret_cast<float*>(bytes);
    auto* const wide_dy = reinterpret_cast<float*>(bytes + float_bytes(inputs));
    widen(stream, inputs, static_cast<const Bfloat16*>(x), wide_x);
    widen(stream, outputs, static_cast<const Bfloat16*>(dy), wide_dy);
    x = wide_x;
    dy = wide_dy;
    workspace = bytes + copy_bytes(pattern);
  }
  std::get<CudnnPlan>(pass.plan).run(libraries.cudnn, {{kX, x}, {kDy, dy}, {kDw, dweight}},
                                     workspace);
}

bool CudnnConvolution::Plans::choose(const PlanCache& cache) {
  const ConvolutionShape& shape = pattern.shape;
  const CudaStream& stream = libraries.cudnn.stream();
  // Zeros to measure on, enough for either type of value.
  using Bytes = DeviceBuffer<std::byte>;
  const Bytes x = Bytes::zeros(stream, float_bytes(input_values(shape)));
  const Bytes weight = Bytes::zeros(stream, float_bytes(weight_values(shape)));
  const auto bias =
      DeviceBuffer<float>::zeros(stream, static_cast<std::size_t>(shape.out_channels));
  Bytes y = Bytes::zeros(stream, float_bytes(output_values(shape)));
  DeviceBuffer<std::byte> dx(stream, x.size());
  DeviceBuffer<float> dweight(stream, static_cast<std::size_t>(weight_values(shape)));
  DeviceBuffer<std::byte> workspace(
      stream, kLargestWorkspace + std::max(copy_bytes(pattern), subpixel_bytes(shape)));
  if (has_subpixels(shape)) {
    subpixel_weight = Bytes::zeros(stream, weight.size());
  }

  const auto test_forward = [&](const PassPlan& pass) {
    run_forward(pass, x.data(), weight.data(), bias.data(), y.data(), workspace.data());
  };
  const auto test_input_gradient = [&](const PassPlan& pass) {
    run_input_gradient(pass, y.data(), weight.data(), x.data(), dx.data(), workspace.data());
  };
  const auto test_weight_gradient = [&](const PassPlan& pass) {
    run_weight_gradient(pass, x.data(), y.data(), dweight.data(), workspace.data());
  };

  const PlanChoice choice(libraries, pattern, cache);
  forward = choice.choose(ConvolutionPass::forward, test_forward);
  input_gradient = choice.choose(ConvolutionPass::input_gradient, test_input_gradient);
  weight_gradient = choice.choose(ConvolutionPass::weight_gradient, test_weight_gradient);
  if (!forward || !input_gradient || !weight_gradient) {
    return false;
  }
  // Once outside of any capture, so that all kernels are loaded, remembered plans' as well.
  test_forward(*forward);
  test_input_gradient(*input_gradient);
  test_weight_gradient(*weight_gradient);
  if (input_gradient->form != GraphForm::subpixels) {
    subpixel_weight = {};
  }
  stream.wait();
  return true;
}

std::unique_ptr<CudnnConvolution> CudnnConvolution::create(const ConvolutionLibraries& libraries,
                                                           const ConvolutionPattern& pattern,
                                                           const PlanCache& cache) {
  std::unique_ptr<Plans> plans(new Plans{libraries, pattern});
  if (!plans->choose(cache)) {
    return nullptr;
  }
  return std::unique_ptr<CudnnConvolution>(new CudnnConvolution(std::move(plans)));
}

CudnnConvolution::CudnnConvolution(std::unique_ptr<Plans> plans) : plans_(std::move(plans)) {}
CudnnConvolution::~CudnnConvolution() = default;

std::size_t CudnnConvolution::workspace_bytes() const {
  const ConvolutionPattern& pattern = plans_->pattern;
  const bool subpixels = plans_->input_gradient->form == GraphForm::subpixels;
  return std::max(
      {plans_->forward->workspace_bytes(),
       plans_->input_gradient->workspace_bytes() + (subpixels ? subpixel_bytes(pattern.shape) : 0),
       plans_->weight_gradient->workspace_bytes() + copy_bytes(pattern)});
}

void CudnnConvolution::take_weights(const void* weight) {
  if (plans_->input_gradient->form == GraphForm::subpixels) {
    prepare_subpixels(plans_->libraries.cudnn.stream(), plans_->pattern, weight,
                      plans_->subpixel_weight.data());
  }
}

void CudnnConvolution::forward(const void* x, const void* weight, const float* bias, void* y,
                               void* workspace) const {
  plans_->run_forward(*plans_->forward, x, weight, bias, y, workspace);
}

void CudnnConvolution::input_gradient(const void* dy, const void* weight, const void* x, void* dx,
                                      void* workspace) const {
  plans_->run_input_gradient(*plans_->input_gradient, dy, weight, x, dx, workspace);
}

void CudnnConvolution::weight_gradient(const void* x, const void* dy, float* dweight,
                                       void* workspace) const {
  plans_->run_weight_gradient(*plans_->weight_gradient, x, dy, dweight, workspace);
}

}  // namespace ebm

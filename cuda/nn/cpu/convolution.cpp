#include "cuda/nn/cpu/convolution.h"

#include <cassert>
#include <utility>

#include "cuda/base/ceil_div.h"
#include "cuda/kernels/leaky_relu.cuh"

namespace ebm {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;

/// Pointwise convolutions see their images as one long row of pixels, which spares oneDNN the
/// overhead of an image at a time and makes a linear layer the same thing as a 1×1 convolution.
ConvolutionShape merge_pixels(ConvolutionShape s) {
  if (s.kernel == 1 && s.stride == 1 && s.padding == 0) {
    s.width *= s.images * s.height;
    s.images = 1;
    s.height = 1;
  }
  return s;
}

bool is_for_winograd(const ConvolutionShape& shape, Epilogue epilogue, OperandType factors) {
  return factors == OperandType::float32 && epilogue != Epilogue::add &&
         WinogradConvolution::can_do(shape);
}

constexpr auto kDirect = dnnl::algorithm::convolution_direct;

/// Floats that an array takes, and those that fill its last cache line.
std::int64_t whole_cache_lines(const memory::desc& array) {
  constexpr std::size_t kLine = 64;
  return static_cast<std::int64_t>(round_up(array.get_size(), kLine) / sizeof(float));
}

dnnl::primitive_attr attributes(Epilogue epilogue) {
  dnnl::primitive_attr attribute;
  attribute.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops after;
  if (epilogue == Epilogue::leaky_relu) {
    after.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, kLeakySlope, 0.0F);
  } else if (epilogue == Epilogue::add) {
    after.append_sum();
  }
  attribute.set_post_ops(after);
  return attribute;
}

}  // namespace

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

bool have_bfloat16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

ConvolutionPlan::ConvolutionPlan(ConvolutionShape shape, Epilogue epilogue, OperandType factors)
    : epilogue_(epilogue) {
  const ConvolutionShape s = merge_pixels(shape);
  const int out_height = (s.height + 2 * s.padding - s.kernel) / s.stride + 1;
  const int out_width = (s.width + 2 * s.padding - s.kernel) / s.stride + 1;
  const memory::dims x{s.images, s.in_channels, s.height, s.width};
  const memory::dims y{s.images, s.out_channels, out_height, out_width};
  const memory::dims weights{s.out_channels, s.in_channels, s.kernel, s.kernel};
  const memory::dims strides{s.stride, s.stride};
  const memory::dims padding{s.padding, s.padding};
  const memory::desc b({s.out_channels}, Type::f32, Tag::x);
  const Type rounded = factors == OperandType::bfloat16 ? Type::bf16 : Type::f32;
  const auto image = [](const memory::dims& dims, Type type) {
    return memory::desc(dims, type, Tag::nhwc);
  };
  const auto any = [&weights](Type type) { return memory::desc(weights, type, Tag::any); };
  const dnnl::engine& engine = cpu_engine();
  const auto forward = [&](Type in, Type out, Epilogue after) {
    return dnnl::convolution_forward::primitive_desc(
        {dnnl::prop_kind::forward_training, kDirect, image(x, in), any(in), b, image(y, out),
         strides, padding, padding},
        attributes(after), engine);
  };
  const dnnl::primitive_attr plain = attributes(Epilogue::store);

  if (is_for_winograd(s, epilogue, factors)) {
    winograd_ = std::make_unique<WinogradConvolution>(s);
  } else {
    forward_ = forward(rounded, Type::f32, epilogue);
    backward_ = {
        {kDirect, image(x, Type::f32), any(rounded), image(y, rounded), strides, padding, padding},
        plain,
        engine,
        forward(rounded, rounded, Epilogue::store)};
    forward_weights_ = memory(forward_.weights_desc(), engine);
    backward_weights_ = memory(backward_.weights_desc(), engine);
  }
  weight_gradient_ = {{kDirect, image(x, Type::f32), any(Type::f32), b, image(y, Type::f32),
                       strides, padding, padding},
                      plain,
                      engine,
                      forward(Type::f32, Type::f32, Epilogue::store)};

  plain_weights_ = memory::desc(weights, Type::f32, Tag::oihw);
  gradient_weights_ = whole_cache_lines(weight_gradient_.diff_weights_desc());
  gradient_bias_ = whole_cache_lines(weight_gradient_.diff_bias_desc());
  weights_ = Buffer<float>(plain_weights_.get_size() / sizeof(float));
  bias_ = Buffer<float>(static_cast<std::size_t>(s.out_channels));
}

CpuBytes convolution_bytes(const ConvolutionShape& shape, Epilogue epilogue, OperandType factors) {
  const ConvolutionShape s = merge_pixels(shape);
  constexpr std::int64_t kBlock = 16;  // oneDNN fills channels up to whole vectors
  const std::int64_t taps = std::int64_t{s.kernel} * s.kernel;
  const std::int64_t plain = 4 * taps * s.in_channels * s.out_channels;
  const std::int64_t padded =
      taps * round_up(std::int64_t{s.in_channels}, kBlock) * round_up(s.out_channels, kBlock);
  const std::int64_t bias = 4 * round_up(std::int64_t{s.out_channels}, kBlock);
  constexpr std::int64_t kObjects = 16384;  // oneDNN's descriptions, and lists of arguments
  CpuBytes bytes{
      .shared = plain + bias + kObjects, .own = plain + kObjects, .gradient = 4 * padded + bias};
  if (is_for_winograd(s, epilogue, factors)) {
    const WinogradLayout layout(s);
    bytes.shared += 8 * layout.weight_values();  // one for each direction
    bytes.scratch = 4 * layout.scratch_values;
    return bytes;
  }
  const bool rounded = factors == OperandType::bfloat16;
  bytes.shared += (rounded ? 4 : 8) * padded;
  constexpr std::int64_t kAddresses = 8192;  // of what a matrix kernel multiplies
  bytes.own += kAddresses + bias;
  if (rounded) {  // copies of x and dy, and where pixels are a row sums of y and dx
    const std::int64_t x = std::int64_t{s.images} * s.height * s.width * s.in_channels;
    const std::int64_t y = std::int64_t{s.images} * s.out_height() * s.out_width() * s.out_channels;
    bytes.own += (s.kernel == 1 ? 2 + 4 : 2) * (x + y);
  }
  return bytes;
}

void ConvolutionPlan::prepare() {
  if (winograd_) {
    winograd_->set(weights_.data());
    return;
  }
  dnnl::stream stream(cpu_engine());
  memory from(plain_weights_, cpu_engine(), weights_.data());
  for (memory* to : {&forward_weights_, &backward_weights_}) {
    dnnl::reorder(from, *to).execute(stream, from, *to);
  }
}

Convolution::Convolution(std::shared_ptr<const ConvolutionPlan> plan, float* x, float* y, float* dx,
                         float* dy, float* scratch)
    : plan_(std::move(plan)),
      x_(x),
      y_(y),
      dx_(dx),
      dy_(dy),
      scratch_(scratch),
      stream_(cpu_engine()),
      weight_gradient_(plan_->weight_gradient_),
      plain_gradient_(plan_->weights_.size()) {
  const dnnl::engine& engine = cpu_engine();
  const auto& gradient = plan_->weight_gradient_;
  const memory input(gradient.src_desc(), engine, x);
  const memory output_gradient(gradient.diff_dst_desc(), engine, dy);
  if (!plan_->winograd_) {
    const auto& forward = plan_->forward_;
    const auto& backward = plan_->backward_;
    forward_ = dnnl::primitive(forward);
    backward_ = dnnl::primitive(backward);
    const memory bias(forward.bias_desc(), engine, const_cast<float*>(plan_->bias_.data()));
    forward_arguments_ = {{DNNL_ARG_SRC, as_factors(input, forward.src_desc(), round_input_)},
                          {DNNL_ARG_WEIGHTS, plan_->forward_weights_},
                          {DNNL_ARG_BIAS, bias},
                          {DNNL_ARG_DST, memory(forward.dst_desc(), engine, y)},
                          {DNNL_ARG_SCRATCHPAD, memory(forward.scratchpad_desc(), engine)}};
    backward_arguments_ = {{DNNL_ARG_DIFF_DST, as_factors(output_gradient, backward.diff_dst_desc(),
                                                          round_output_gradient_)},
                           {DNNL_ARG_WEIGHTS, plan_->backward_weights_},
                           {DNNL_ARG_DIFF_SRC, memory(backward.diff_src_desc(), engine, dx)},
                           {DNNL_ARG_SCRATCHPAD, memory(backward.scratchpad_desc(), engine)}};
  }

  ordered_by_onednn_ = memory(gradient.diff_weights_desc(), engine, DNNL_MEMORY_NONE);
  of_bias_ = memory(gradient.diff_bias_desc(), engine, DNNL_MEMORY_NONE);
  weight_gradient_arguments_ = {{DNNL_ARG_SRC, input},
                                {DNNL_ARG_DIFF_DST, output_gradient},
                                {DNNL_ARG_DIFF_WEIGHTS, ordered_by_onednn_},
                                {DNNL_ARG_DIFF_BIAS, of_bias_},
                                {DNNL_ARG_SCRATCHPAD, memory(gradient.scratchpad_desc(), engine)}};
  const memory plain(plan_->plain_weights_, engine, plain_gradient_.data());
  to_plain_ = dnnl::reorder(ordered_by_onednn_, plain);
  to_plain_arguments_ = {{DNNL_ARG_FROM, ordered_by_onednn_}, {DNNL_ARG_TO, plain}};
}

/// The memory to multiply: `values` themselves, or a rounded copy that `rounding` fills.
dnnl::memory Convolution::as_factors(const memory& values, const memory::desc& factors,
                                     Rounding& rounding) const {
  if (factors == values.get_desc()) {
    return values;
  }
  memory copy(factors, cpu_engine());
  rounding = {dnnl::reorder(values, copy), {{DNNL_ARG_FROM, values}, {DNNL_ARG_TO, copy}}};
  return copy;
}

void Convolution::forward() {
  if (plan_->winograd_) {
    const float slope = plan_->epilogue_ == Epilogue::leaky_relu ? kLeakySlope : 1;
    plan_->winograd_->forward(x_, plan_->bias_.data(), slope, scratch_, y_);
    return;
  }
  if (round_input_.reorder) {
    round_input_.reorder.execute(stream_, round_input_.arguments);
  }
  forward_.execute(stream_, forward_arguments_);
}

void Convolution::backward() {
  if (plan_->winograd_) {
    plan_->winograd_->backward(dy_, nullptr, scratch_, dx_);
    return;
  }
  if (round_output_gradient_.reorder) {
    round_output_gradient_.reorder.execute(stream_, round_output_gradient_.arguments);
  }
  backward_.execute(stream_, backward_arguments_);
}

bool Convolution::takes_relu_back() const {
  return plan_->winograd_ != nullptr && plan_->epilogue_ == Epilogue::leaky_relu;
}

void Convolution::backward_with_relu() {
  assert(takes_relu_back());
  plan_->winograd_->backward(dy_, y_, scratch_, dx_);
}

void Convolution::weight_gradient(float* gradient) {
  ordered_by_onednn_.set_data_handle(gradient);
  of_bias_.set_data_handle(gradient + plan_->gradient_weights_);
  weight_gradient_.execute(stream_, weight_gradient_arguments_);
}

void Convolution::reorder_to_plain(float* gradient) {
  ordered_by_onednn_.set_data_handle(gradient);
  to_plain_.execute(stream_, to_plain_arguments_);
  bias_gradient_ = {gradient + plan_->gradient_weights_, plan_->bias_.size()};
}

}  // namespace ebm

// Layers written short, for tests.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cuda/nn/layers/avg_pool.cuh"
#include "cuda/nn/layers/convolution.h"
#include "cuda/nn/layers/flatten.h"
#include "cuda/nn/layers/leaky_relu.h"
#include "cuda/nn/layers/max_pool.h"
#include "cuda/nn/layers/nonlocal.h"
#include "cuda/nn/layers/residual.cuh"
#include "cuda/nn/layers/silu.cuh"

namespace ebm {

inline Layer conv(std::string key, int outputs, int kernel, int stride = 1, int padding = 0) {
  return {&kConvolutionLayer, std::move(key), outputs, kernel, stride, padding};
}
inline Layer linear(std::string key, int outputs) {
  return {.type = &kLinearLayer, .key = std::move(key), .outputs = outputs};
}
inline Layer nonlocal(std::string key) { return {.type = &kNonlocalLayer, .key = std::move(key)}; }
inline Layer leaky_relu() { return {.type = &kLeakyReluLayer}; }
inline Layer silu() { return {.type = &kSiluLayer}; }
inline Layer max_pool() { return {.type = &kMaxPoolLayer}; }
inline Layer avg_pool(int kernel) { return {.type = &kAvgPoolLayer, .kernel = kernel}; }
inline Layer flatten() { return {.type = &kFlattenLayer}; }
inline Layer residual(std::vector<Layer> layers, std::string key = {}) {
  return {.type = &kResidualLayer, .key = std::move(key), .layers = std::move(layers)};
}

}  // namespace ebm

// Convolutions and linear layers on the CPU.
#pragma once

#include <memory>

#include "cuda/nn/cpu/convolution.h"
#include "cuda/nn/cpu/cpu_operation.h"

namespace ebm {

std::unique_ptr<CpuPlan> plan_convolution(const Operation& operation, const CpuTile& tile);
std::unique_ptr<CpuPlan> plan_image_convolution(const Operation& operation, const CpuTile& tile);

CpuBytes cpu_convolution_bytes(const Operation& operation, const CpuTile& tile);
CpuBytes cpu_image_convolution_bytes(const Operation& operation, const CpuTile& tile);

/// Takes stacked parameters out of θ.
void set_parameters(ConvolutionPlan& plan, const StackedParameters& parameters, const float* theta);
/// theta_gradient += the gradient that the convolution shows in θ's order.
void add_gradient(const Convolution& from, const StackedParameters& parameters,
                  float* theta_gradient);

}  // namespace ebm

// Tiles of chains of a perceptron (the toy network): fused chains, weight gradients by oneDNN.
#pragma once

#include <memory>

#include "cuda/nn/cpu/simd_perceptron.h"
#include "cuda/nn/cpu/tile_energy.h"
#include "cuda/nn/network.h"

namespace ebm {

/// Copies θ's layers into the perceptron.
void set_parameters(Perceptron& perceptron, const Network& network, const float* theta);

/// One thread's executor of the perceptron. `weight_gradients` computes what this does not. Keeps
/// `perceptron` alive.
std::unique_ptr<TileEnergy> make_perceptron_tile(std::shared_ptr<const Perceptron> perceptron,
                                                 std::unique_ptr<TileEnergy> weight_gradients);

}  // namespace ebm

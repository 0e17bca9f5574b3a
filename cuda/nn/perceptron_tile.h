// Tiles of chains of a perceptron (the toy network): fused chains, weight gradients by oneDNN.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cuda/kernels/perceptron_chain.h"
#include "cuda/nn/network.h"
#include "cuda/nn/tile_energy.h"

namespace ebm {

/// The widths of the perceptron that a network is: states of one pixel; pointwise convolutions or
/// linear layers with a leaky_relu between each two. Empty when it is anything else.
std::optional<std::vector<int>> perceptron_widths(const Network& network);

/// Copies θ's layers into the perceptron.
void set_parameters(Perceptron& perceptron, const Network& network, std::span<const float> theta);

/// One thread's executor of the perceptron. `weight_gradients` computes what this does not. Keeps
/// `perceptron` alive.
std::unique_ptr<TileEnergy> make_perceptron_tile(std::shared_ptr<const Perceptron> perceptron,
                                                 std::unique_ptr<TileEnergy> weight_gradients);

}  // namespace ebm

// Networks that no published one is like.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "tests/support/layers.h"

namespace ebm {

/// Each for something that one of the others does not show.
inline std::vector<Network> other_networks() {
  return {
      {"leaky_relu_first",
       {2, 4, 4},
       {leaky_relu(), conv("a", 3, 3, 1, 1), leaky_relu(), flatten(), linear("b", 1)}},
      {"leaky_relu_last",
       {1, 6, 6},
       {conv("a", 4, 3), leaky_relu(), conv("b", 1, 4), leaky_relu()}},
      {"leaky_relu_twice",
       {3, 4, 4},
       {conv("a", 5, 4), leaky_relu(), leaky_relu(), linear("b", 1)}},
      {"no_leaky_relu", {1, 8, 8}, {conv("a", 3, 4, 2, 1), conv("b", 6, 4, 2, 1), conv("c", 1, 2)}},
      {"max_pool_first",
       {3, 8, 8},
       {max_pool(), conv("a", 4, 3, 1, 1), leaky_relu(), flatten(), linear("b", 1)}},
      {"max_pool_before_leaky_relu",
       {3, 8, 8},
       {conv("a", 5, 3, 1, 1), max_pool(), leaky_relu(), flatten(), linear("b", 7), leaky_relu(),
        linear("c", 1)}},
      {"max_pool_twice",
       {2, 8, 12},
       {conv("a", 3, 1), max_pool(), max_pool(), leaky_relu(), flatten(), linear("b", 1)}},
      {"wide_states",
       {1, 6, 10},
       {conv("a", 4, 3, 1, 1), leaky_relu(), max_pool(), conv("b", 3, 3, 2, 1), leaky_relu(),
        flatten(), linear("c", 1)}},
      {"stride_leaves_a_rest",
       {3, 7, 11},
       {conv("a", 4, 2, 3), leaky_relu(), conv("b", 5, 3, 2, 2), leaky_relu(), flatten(),
        linear("c", 1)}},
      {"nonlocal_first", {2, 4, 4}, {nonlocal("a"), conv("b", 3, 4), leaky_relu(), linear("c", 1)}},
      {"nonlocal_in_the_middle",
       {2, 8, 8},
       {conv("a", 6, 3, 1, 1), leaky_relu(), nonlocal("b"), conv("c", 4, 3, 2, 1), leaky_relu(),
        nonlocal("d"), flatten(), linear("e", 1)}},
      {"nonlocal_before_leaky_relu",
       {1, 4, 6},
       {conv("a", 4, 1), nonlocal("b"), leaky_relu(), max_pool(), flatten(), linear("c", 1)}},
      {"linear_perceptron",
       {5, 1, 1},
       {linear("a", 9), leaky_relu(), linear("b", 3), leaky_relu(), linear("c", 1)}},
      {"one_layer", {3, 1, 1}, {linear("a", 1)}},
      {"flatten_first", {2, 3, 5}, {flatten(), linear("a", 6), leaky_relu(), linear("b", 1)}},
      {"many_channels",
       {6, 4, 6},
       {conv("a", 5, 3, 1, 1), leaky_relu(), conv("b", 3, 2, 2), leaky_relu(), flatten(),
        linear("c", 1)}},
      {"wide_convolution_behind_flatten",
       {1, 4, 4},
       {conv("a", 3, 3, 1, 1), leaky_relu(), flatten(), conv("b", 5, 3, 1, 1), leaky_relu(),
        linear("c", 1)}},
      {"pointwise_convolution_behind_flatten",
       {2, 4, 2},
       {flatten(), conv("a", 5, 1), leaky_relu(), conv("b", 1, 1)}},
      {"silu_first", {2, 4, 4}, {silu(), conv("a", 3, 3, 1, 1), silu(), flatten(), linear("b", 1)}},
      {"silu_between_convolutions",
       {3, 8, 8},
       {conv("a", 4, 3, 1, 1), silu(), conv("b", 6, 4, 2, 1), silu(), conv("c", 5, 3), silu(),
        conv("d", 1, 2)}},
      {"silu_before_max_pool",
       {1, 6, 6},
       {conv("a", 4, 3, 1, 1), silu(), max_pool(), leaky_relu(), silu(), flatten(),
        linear("b", 1)}},
      {"silu_last", {1, 6, 6}, {conv("a", 4, 3), leaky_relu(), silu(), conv("b", 1, 4), silu()}},
      {"silu_perceptron",
       {5, 1, 1},
       {linear("a", 9), silu(), linear("b", 3), silu(), linear("c", 1)}},
      {"avg_pool_first",
       {3, 6, 8},
       {avg_pool(2), conv("a", 4, 3, 1, 1), leaky_relu(), flatten(), linear("b", 1)}},
      {"avg_pool_before_linear",
       {1, 9, 6},
       {conv("a", 4, 3, 1, 1), leaky_relu(), avg_pool(3), conv("b", 6, 3, 1, 1), leaky_relu(),
        avg_pool(1), flatten(), linear("c", 1)}},
      {"avg_pool_before_the_head",
       {2, 8, 8},
       {conv("a", 5, 3, 1, 1), silu(), avg_pool(2), conv("b", 1, 4)}},
      {"avg_pool_of_all",
       {2, 4, 4},
       {conv("a", 5, 3, 1, 1), leaky_relu(), conv("b", 7, 3, 1, 1), leaky_relu(), avg_pool(4),
        linear("c", 1)}},
      {"avg_pool_last",
       {1, 4, 4},
       {conv("a", 4, 3, 1, 1), leaky_relu(), conv("b", 1, 1), avg_pool(4)}},
      {"residual_of_one_convolution",
       {1, 6, 6},
       {conv("a", 4, 3, 1, 1), residual({conv("b", 4, 3, 1, 1)}), conv("c", 1, 6)}},
      {"residual_behind_leaky_relu",
       {2, 6, 6},
       {conv("a", 4, 3, 1, 1), leaky_relu(), conv("b", 6, 3, 1, 1), leaky_relu(),
        residual({conv("c", 5, 3, 1, 1), leaky_relu(), conv("d", 6, 1)}), conv("e", 4, 4, 2, 1),
        leaky_relu(), flatten(), linear("f", 1)}},
      {"residual_ends_in_leaky_relu",
       {2, 4, 6},
       {conv("a", 4, 3, 1, 1), leaky_relu(),
        residual({conv("b", 3, 3, 1, 1), leaky_relu(), conv("c", 4, 3, 1, 1), leaky_relu()}),
        leaky_relu(), flatten(), linear("d", 1)}},
      {"residual_before_pools",
       {3, 8, 8},
       {conv("a", 4, 3, 1, 1), residual({silu(), conv("b", 4, 3, 1, 1)}), leaky_relu(), max_pool(),
        residual({leaky_relu(), conv("c", 4, 1)}), avg_pool(2), flatten(), linear("d", 1)}},
      {"residual_ends_in_a_residual",
       {2, 4, 4},
       {conv("a", 4, 3, 1, 1), leaky_relu(),
        residual({conv("b", 4, 3, 1, 1), leaky_relu(),
                  residual({conv("c", 6, 3, 1, 1), leaky_relu(), conv("d", 4, 3, 1, 1)})}),
        flatten(), linear("e", 1)}},
      {"residual_begins_with_a_residual",
       {2, 4, 4},
       {conv("a", 4, 3, 1, 1), leaky_relu(),
        residual({residual({conv("b", 6, 3, 1, 1), leaky_relu(), conv("c", 4, 3, 1, 1)}),
                  leaky_relu(), conv("d", 4, 3, 1, 1), leaky_relu()}),
        flatten(), linear("e", 1)}},
      {"residual_is_a_residual",
       {2, 4, 4},
       {conv("a", 4, 3, 1, 1), leaky_relu(),
        residual({residual({residual({conv("b", 4, 3, 1, 1), leaky_relu()})})}), flatten(),
        linear("c", 1)}},
      {"two_residuals",
       {1, 4, 4},
       {conv("a", 4, 3, 1, 1), residual({conv("b", 3, 3, 1, 1), silu(), conv("c", 4, 3, 1, 1)}),
        residual({conv("d", 5, 3, 1, 1), leaky_relu(), conv("e", 4, 3, 1, 1)}), silu(), flatten(),
        linear("f", 1)}},
      {"residual_first",
       {2, 4, 4},
       {residual({conv("a", 3, 3, 1, 1), leaky_relu(), conv("b", 2, 3, 1, 1)}), conv("c", 5, 4),
        leaky_relu(), linear("d", 1)}},
      {"residual_last",
       {3, 4, 4},
       {conv("a", 5, 4), leaky_relu(), linear("b", 1),
        residual({linear("c", 4), leaky_relu(), linear("d", 1)})}},
      {"residual_perceptron",
       {5, 1, 1},
       {linear("a", 8), residual({silu(), linear("b", 8), silu(), linear("c", 8)}), leaky_relu(),
        linear("d", 1)}},
      {"residual_of_no_operation",
       {5, 1, 1},
       {linear("a", 6), residual({flatten()}),
        residual({linear("b", 6), leaky_relu(), residual({flatten()})}), silu(), linear("c", 1)}},
      {"residual_of_silu_alone",
       {1, 4, 4},
       {conv("a", 4, 3, 1, 1), leaky_relu(), residual({silu()}), flatten(), linear("b", 1)}},
      {"residual_of_leaky_relu_alone",
       {1, 4, 4},
       {conv("a", 4, 3, 1, 1), residual({leaky_relu()}), flatten(), linear("b", 1)}},
      {"residual_of_nonlocal",
       {2, 4, 4},
       {conv("a", 6, 3, 1, 1), leaky_relu(), residual({nonlocal("b")}),
        residual({nonlocal("c"), leaky_relu(), conv("d", 6, 3, 1, 1)}),
        residual({conv("e", 6, 3, 1, 1), leaky_relu(), nonlocal("f")}), flatten(), linear("g", 1)}},
      {"leaky_relu_before_everything",  // its derivative is the convolution's own
       {2, 8, 8},
       {conv("a", 4, 3, 1, 1), leaky_relu(),  conv("b", 6, 3, 1, 1),
        leaky_relu(),          nonlocal("c"), conv("d", 5, 3, 1, 1),
        leaky_relu(),          avg_pool(2),   conv("e", 5, 3, 1, 1),
        leaky_relu(),          silu(),        conv("f", 3, 3, 1, 1),
        leaky_relu(),          leaky_relu(),  conv("g", 4, 3, 1, 1),
        leaky_relu(),          flatten(),     conv("h", 5, 3, 1, 1),
        leaky_relu(),          linear("i", 1)}},
  };
}

/// Layers drawn one by one that keep the shape, residuals among them, at most so deep.
inline std::vector<Layer> drawn_layers(std::mt19937& random, int channels, int depth, int& keys) {
  std::vector<Layer> layers;
  const auto key = [&keys] { return "k" + std::to_string(keys++); };
  for (auto left = 1 + random() % 4; left > 0; --left) {
    switch (random() % (depth > 0 ? 7 : 5)) {
      case 0:
        layers.push_back(leaky_relu());
        break;
      case 1:
        layers.push_back(silu());
        break;
      case 2:
        layers.push_back(nonlocal(key()));
        break;
      case 3:
      case 4:
        layers.push_back(conv(key(), channels, 3, 1, 1));
        break;
      default:
        layers.push_back(residual(drawn_layers(random, channels, depth - 1, keys)));
    }
  }
  return layers;
}

/// Networks of such layers, with a pooling and more of them behind it.
inline std::vector<Network> drawn_networks(int count) {
  std::mt19937 random(7);  // the same everywhere
  std::vector<Network> networks;
  for (int i = 0; i < count; ++i) {
    int keys = 0;
    const Shape input{2 + 4 * static_cast<int>(random() % 2), 4, 4};
    std::vector<Layer> layers = drawn_layers(random, input.channels, 3, keys);
    layers.push_back(random() % 2 == 0 ? max_pool() : avg_pool(2));
    for (Layer& layer : drawn_layers(random, input.channels, 3, keys)) {
      layers.push_back(std::move(layer));
    }
    layers.push_back(flatten());
    layers.push_back(linear("last", 1));
    networks.emplace_back("drawn_" + std::to_string(i), input, std::move(layers));
  }
  return networks;
}

}  // namespace ebm

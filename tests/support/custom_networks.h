// Networks given by lists of layers, and small trainings of them, for tests.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "host/config/layers.h"

namespace ebm {

// An MLP on the plane, and every kind of layer on images of 16 by 16.
inline const std::string kPlane =
    "[linear: {outputs: 16}, leaky_relu, linear: {outputs: 8}, leaky_relu, linear: {outputs: 1}]";
inline const std::string kImages =
    "[conv: {outputs: 4, kernel: 3, padding: 1}, leaky_relu, max_pool, nonlocal, "
    "conv: {outputs: 6, kernel: 4, stride: 2, padding: 1}, leaky_relu, flatten, "
    "linear: {outputs: 1}]";

inline std::vector<Layer> layers_of(const std::string& list) {
  return parse_layers("layers: " + list, "a list");
}

/// Training on the plane.
inline std::string plane_config(const std::string& list) {
  return "name: plane\n"
         "data: {kind: gmm}\n"
         "network: {layers: " +
         list +
         "}\n"
         "optimizer: {kind: sgd, lr: 0.1}\n"
         "langevin: {epsilon: 0.125, steps: 10, init: persistent, bank_size: 100}\n"
         "train: {iterations: 3, batch_size: 20}\n"
         "log: {every: 3}\n"
         "landscape: {every: 3, resolution: 20, kde: {chains: 20}}\n";
}

/// Training on digits of 16 by 16 pixels.
inline std::string image_config(const std::string& list, const std::filesystem::path& digits) {
  return "name: images\n"
         "data: {kind: mnist, path: " +
         digits.string() +
         ", image_size: 16}\n"
         "network:\n"
         "  layers: " +
         list +
         "\n"
         "optimizer: {kind: adam, lr: 0.001}\n"
         "langevin: {epsilon: 0.01, steps: 5, init: uniform}\n"
         "train: {iterations: 3, batch_size: 4}\n"
         "log: {every: 3}\n"
         "longrun: {every: 3, steps: 4}\n";
}

}  // namespace ebm

#include "host/training/foreign_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "cuda/base/errors.h"

namespace ebm {
namespace {

/// A name without the components that wrappers add.
std::string unwrapped(std::string_view name) {
  constexpr std::array<std::string_view, 2> kWrappers = {"module", "_orig_mod"};
  std::string plain;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find('.'), name.size());
    const std::string_view component = name.substr(0, end);
    name.remove_prefix(std::min(end + 1, name.size()));
    if (name.empty() || std::ranges::find(kWrappers, component) == kWrappers.end()) {
      plain += component;
      plain += name.empty() ? "" : ".";
    }
  }
  return plain;
}

/// Leaves names as they are where two would become one.
void unwrap_names(TensorFile& file) {
  std::set<std::string> names;
  for (const Tensor& tensor : file.tensors) {
    names.insert(unwrapped(tensor.name));
  }
  if (names.size() == file.tensors.size()) {
    for (Tensor& tensor : file.tensors) {
      tensor.name = unwrapped(tensor.name);
    }
  }
}

/// What spectral norm calls a weight W and the vectors u and v, behind the name of the layer.
struct SpectralNames {
  std::string_view weight;
  std::string_view u;
  std::string_view v;
};

constexpr std::array<SpectralNames, 2> kSpectral = {{
    {"weight_orig", "weight_u", "weight_v"},  // torch.nn.utils.spectral_norm
    {"parametrizations.weight.original", "parametrizations.weight.0._u",
     "parametrizations.weight.0._v"},  // torch.nn.utils.parametrizations.spectral_norm
}};

/// u·(W v), W a matrix of as many rows as u has components.
double largest_singular_value(const Tensor& weight, const Tensor& u, const Tensor& v) {
  double sigma = 0;
  auto row = weight.values.begin();
  for (const float left : u.values) {
    sigma += left * std::inner_product(v.values.begin(), v.values.end(), row, 0.0);
    row += std::ssize(v.values);
  }
  return sigma;
}

/// Replaces W, u and v of the layer by W/σ, if they are there and fit.
void fold_spectral_norm(TensorFile& file, const std::string& layer, const SpectralNames& names) {
  const auto at = [&](std::string_view name) {
    return std::ranges::find(file.tensors, fmt::format("{}{}", layer, name), &Tensor::name);
  };
  const auto weight = at(names.weight);
  const auto u = at(names.u);
  const auto v = at(names.v);
  const auto none = file.tensors.end();
  if (u == none || v == none || weight->shape.empty() || u->values.empty() ||
      u->values.size() * v->values.size() != weight->values.size() ||
      std::ssize(u->values) != weight->shape.front()) {
    return;
  }
  const double sigma = largest_singular_value(*weight, *u, *v);
  if (!std::isfinite(sigma) || sigma == 0) {
    throw InputFileError(fmt::format("{}: tensor '{}' has the spectral norm {}", file.path.string(),
                                     weight->name, sigma));
  }
  for (float& value : weight->values) {
    value = static_cast<float>(value / sigma);
  }
  weight->name = layer + "weight";
  std::erase_if(file.tensors, [&](const Tensor& tensor) {
    return tensor.name == layer + std::string(names.u) ||
           tensor.name == layer + std::string(names.v);
  });
}

void fold_spectral_norms(TensorFile& file) {
  for (const SpectralNames& names : kSpectral) {
    std::vector<std::string> layers;
    for (const Tensor& tensor : file.tensors) {
      if (tensor.name.ends_with(names.weight)) {
        layers.push_back(tensor.name.substr(0, tensor.name.size() - names.weight.size()));
      }
    }
    for (const std::string& layer : layers) {
      fold_spectral_norm(file, layer, names);
    }
  }
}

/// Whether the file has all of the network's tensors, their names behind `prefix`.
bool has_network(const TensorFile& file, const Network& network, const std::string& prefix) {
  return std::ranges::all_of(network.parameters(), [&](const ParameterTensor& tensor) {
    return file.find(prefix + tensor.name) != nullptr;
  });
}

void strip_prefix(TensorFile& file, const Network& network) {
  const std::string& first = network.parameters().front().name;
  std::vector<std::string> prefixes;
  for (const Tensor& tensor : file.tensors) {
    if (tensor.name.ends_with("." + first)) {
      const std::string prefix = tensor.name.substr(0, tensor.name.size() - first.size());
      if (has_network(file, network, prefix)) {
        prefixes.push_back(prefix);
      }
    }
  }
  if (prefixes.empty() || has_network(file, network, "")) {
    return;
  }
  const std::string& prefix = prefixes.front();
  if (!std::ranges::all_of(file.tensors,
                           [&](const Tensor& tensor) { return tensor.name.starts_with(prefix); })) {
    for (std::string& name : prefixes) {
      name.pop_back();  // the dot
    }
    throw InputFileError(fmt::format(
        "{0}: holds more than one network's tensors; those of network {1} are under {2}, and in "
        "all there are {3}. To choose: ebm_convert_checkpoint {0} net.safetensors --entry {4} "
        "(tools/user/convert_checkpoint.py of the sources)",
        file.path.string(), network.name(), fmt::join(prefixes, ", "), listed_names(file),
        prefixes.back()));
  }
  for (Tensor& tensor : file.tensors) {
    tensor.name.erase(0, prefix.size());
  }
}

}  // namespace

void adopt_names(TensorFile& file, const Network& network) {
  if (has_network(file, network, "")) {
    return;  // what else it holds is no wrapper's work
  }
  std::erase_if(file.tensors, [](const Tensor& tensor) { return tensor.name == "n_averaged"; });
  unwrap_names(file);
  fold_spectral_norms(file);
  strip_prefix(file, network);
}

std::string listed_names(const TensorFile& file) {
  constexpr std::size_t kMost = 30;
  const std::size_t shown = std::min(file.tensors.size(), kMost);
  std::vector<std::string_view> names;
  for (const Tensor& tensor : std::span(file.tensors).first(shown)) {
    names.push_back(tensor.name);
  }
  const std::size_t more = file.tensors.size() - shown;
  return fmt::format("{}{}", fmt::join(names, ", "),
                     more > 0 ? fmt::format(" and {} more", more) : std::string());
}

}  // namespace ebm

#include "cuda/diagnostics/density.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace ebm {
namespace {

/// The area a grid point stands for.
double cell_area(std::span<const float> axis) {
  const double step = (static_cast<double>(axis.back()) - static_cast<double>(axis.front())) /
                      static_cast<double>(axis.size() - 1);
  return step * step;
}

/// log(exp(−U) / Σ exp(−U)): log-probabilities of the grid's points.
std::vector<double> log_probabilities(std::span<const float> f, double epsilon) {
  const double energy_per_f = epsilon == 0 ? 1.0 : 2 / (epsilon * epsilon);
  const auto lowest = static_cast<double>(*std::min_element(f.begin(), f.end()));
  std::vector<double> result(f.size());
  double sum = 0;
  for (std::size_t i = 0; i < f.size(); ++i) {
    result[i] = -energy_per_f * (static_cast<double>(f[i]) - lowest);
    sum += std::exp(result[i]);
  }
  const double log_sum = std::log(sum);
  for (double& value : result) value -= log_sum;
  return result;
}

}  // namespace

double ToyDensity::at(double x, double y) const {
  using std::numbers::pi;
  const double variance = sd * sd;
  double sum = 0;
  for (int k = 0; k < groups; ++k) {
    if (kind == Kind::gmm) {
      const double angle = 2 * pi * k / groups;
      const double dx = x - radius * std::cos(angle);
      const double dy = y - radius * std::sin(angle);
      sum += std::exp(-(dx * dx + dy * dy) / (2 * variance)) / (2 * pi * variance);
    } else {
      const double ring = radius * (k + 1);
      const double dr = std::hypot(x, y) - ring;
      const double radial = std::exp(-dr * dr / (2 * variance)) / std::sqrt(2 * pi * variance);
      sum += radial / (2 * pi * ring);
    }
  }
  return sum / groups;
}

double ToyDensity::half_width() const {
  return (kind == Kind::rings ? groups * radius : radius) + 4 * sd;
}

std::vector<float> grid_axis(double half_width, int resolution) {
  std::vector<float> axis;
  axis.reserve(static_cast<std::size_t>(resolution));
  const double step = 2 * half_width / (resolution - 1);
  for (int i = 0; i < resolution - 1; ++i)
    axis.push_back(static_cast<float>(i * step - half_width));
  axis.push_back(static_cast<float>(half_width));
  return axis;
}

std::vector<float> grid_states(std::span<const float> axis) {
  std::vector<float> states;
  states.reserve(2 * axis.size() * axis.size());
  for (const float y : axis) {
    for (const float x : axis) states.insert(states.end(), {x, y});
  }
  return states;
}

std::vector<float> true_density(const ToyDensity& truth, std::span<const float> axis) {
  std::vector<float> density;
  density.reserve(axis.size() * axis.size());
  for (const float y : axis) {
    for (const float x : axis) density.push_back(static_cast<float>(truth.at(x, y)));
  }
  return density;
}

std::vector<float> learned_density(std::span<const float> f, double epsilon,
                                   std::span<const float> axis) {
  const double area = cell_area(axis);
  std::vector<float> density;
  density.reserve(f.size());
  for (const double log_probability : log_probabilities(f, epsilon)) {
    density.push_back(static_cast<float>(std::exp(log_probability) / area));
  }
  return density;
}

double kl_divergence(std::span<const float> p, std::span<const float> f, double epsilon) {
  const std::vector<double> log_q = log_probabilities(f, epsilon);
  double mass = 0;
  for (const float value : p) mass += static_cast<double>(value);
  double divergence = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0.0f) continue;  // the limit of p log p
    const double probability = static_cast<double>(p[i]) / mass;
    divergence += probability * (std::log(probability) - log_q[i]);
  }
  return divergence;
}

double l1_distance(std::span<const float> p, std::span<const float> q,
                   std::span<const float> axis) {
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    sum += std::abs(static_cast<double>(p[i]) - static_cast<double>(q[i]));
  }
  return sum * cell_area(axis);
}

}  // namespace ebm

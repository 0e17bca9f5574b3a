#include "cuda/diagnostics/sample_distances.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "cuda/base/cpu_clones.h"
#include "cuda/diagnostics/centred_states.h"
#include "cuda/kernels/softmax.cuh"

namespace ebm {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
constexpr double kLeastBandwidth = 1e-30;  ///< squared
constexpr float kInfinite = std::numeric_limits<float>::infinity();

/// Points whose distances from another are computed together: the lanes of the vector loops.
constexpr std::int64_t kTile = 64;
using Tile = std::array<float, kTile>;

/// ‖x − y‖² for the points y of a tile, [feature][point].
EBM_CPU_CLONES void squared_distances(const float* x, const float* tile, std::int64_t features,
                                      float* distances) {
  float sums[kTile] = {};
  for (std::int64_t feature = 0; feature < features; ++feature) {
#pragma omp simd
    for (std::int64_t i = 0; i < kTile; ++i) {
      const float difference = x[feature] - tile[feature * kTile + i];
      sums[i] += difference * difference;
    }
  }
  std::copy_n(sums, kTile, distances);
}

struct KernelSums {
  float sum = 0;
  float squares = 0;
};

/// Of k = exp(−scale·distance) over a tile.
EBM_CPU_CLONES KernelSums kernel_sums(const float* distances, float scale) {
  float sum = 0;
  float squares = 0;
#pragma omp simd reduction(+ : sum, squares)
  for (std::int64_t i = 0; i < kTile; ++i) {
    const float k = exp_nonpositive(-scale * distances[i]);
    sum += k;
    squares += k * k;
  }
  return {sum, squares};
}

EBM_CPU_CLONES float least(const float* distances) {
  float found = distances[0];
#pragma omp simd reduction(min : found)
  for (std::int64_t i = 0; i < kTile; ++i) found = distances[i] < found ? distances[i] : found;
  return found;
}

/// Points as rows, and the same in tiles.
class Points {
 public:
  Points(const States& rows)
      : rows_(rows), tiles_(static_cast<std::size_t>(round_up(rows.rows(), kTile) * rows.cols())) {
    for (std::int64_t i = 0; i < count(); ++i) {
      for (std::int64_t feature = 0; feature < rows.cols(); ++feature) {
        const std::int64_t at = (i / kTile * rows.cols() + feature) * kTile + i % kTile;
        tiles_[static_cast<std::size_t>(at)] = rows(i, feature);
      }
    }
  }

  std::int64_t count() const { return rows_.rows(); }
  std::int64_t features() const { return rows_.cols(); }
  const float* row(std::int64_t i) const { return rows_.data() + i * features(); }

  /// Calls each(first, ‖x − y_i‖² for the points i = first … first + kTile − 1), infinite behind
  /// the last point.
  template <class Each>
  void for_each_tile(const float* x, const Each& each) const {
    Tile distances;
    for (std::int64_t first = 0; first < count(); first += kTile) {
      squared_distances(x, &tiles_[static_cast<std::size_t>(first * features())], features(),
                        distances.data());
      for (std::int64_t i = count() - first; i < kTile; ++i) {
        distances[static_cast<std::size_t>(i)] = kInfinite;
      }
      each(first, distances);
    }
  }

 private:
  States rows_;
  std::vector<float> tiles_;
};

/// s².
double squared_bandwidth(const States& reference) {
  const std::int64_t count = std::min<std::int64_t>(reference.rows(), 1000);
  RowsOf<float> some(count, reference.cols());
  for (std::int64_t i = 0; i < count; ++i) {
    some.row(i) = reference.row(i * reference.rows() / count);
  }
  const Points points(States(some.data(), count, some.cols()));
  std::vector<float> pairs;
  pairs.reserve(static_cast<std::size_t>(count * (count - 1) / 2));
  for (std::int64_t i = 0; i < count; ++i) {
    points.for_each_tile(points.row(i), [&](std::int64_t first, const Tile& distances) {
      const auto before = std::clamp<std::int64_t>(i - first, 0, kTile);
      pairs.insert(pairs.end(), distances.begin(), distances.begin() + before);
    });
  }
  const auto middle = pairs.begin() + static_cast<std::ptrdiff_t>(pairs.size() / 2);
  std::nth_element(pairs.begin(), middle, pairs.end());
  return static_cast<double>(*middle);
}

/// What the pairs within a set say.
struct Within {
  double sum = 0;               ///< Σ_{i≠j} k
  double squares = 0;           ///< Σ_{i≠j} k²
  double squared_row_sums = 0;  ///< Σ_i (Σ_{j≠i} k)²
  std::vector<float> radii;  ///< squared, to the neighbour that counts; −1 behind the last point
};

Within within(const Points& points, float scale, std::int64_t neighbours) {
  const auto count = static_cast<std::size_t>(points.count());
  std::vector<double> sums(count);
  std::vector<double> squares(count);
  std::vector<float> nearest(count * static_cast<std::size_t>(neighbours), kInfinite);
#pragma omp parallel for
  for (std::int64_t i = 0; i < points.count(); ++i) {
    const auto row = static_cast<std::size_t>(i);
    float* const mine = &nearest[row * static_cast<std::size_t>(neighbours)];
    points.for_each_tile(points.row(i), [&](std::int64_t first, Tile& distances) {
      if (first <= i && i < first + kTile)
        distances[static_cast<std::size_t>(i - first)] = kInfinite;
      const KernelSums tile = kernel_sums(distances.data(), scale);
      sums[row] += static_cast<double>(tile.sum);
      squares[row] += static_cast<double>(tile.squares);
      if (!(least(distances.data()) < mine[neighbours - 1])) return;
      for (const float distance : distances) {
        if (!(distance < mine[neighbours - 1])) continue;
        float* const place = std::upper_bound(mine, mine + neighbours, distance);
        std::copy_backward(place, mine + neighbours - 1, mine + neighbours);
        *place = distance;
      }
    });
  }
  Within found;
  found.radii.assign(static_cast<std::size_t>(round_up(points.count(), kTile)), -1.0F);
  for (std::size_t i = 0; i < count; ++i) {
    found.sum += sums[i];
    found.squares += squares[i];
    found.squared_row_sums += sums[i] * sums[i];
    found.radii[i] = nearest[(i + 1) * static_cast<std::size_t>(neighbours) - 1];
  }
  return found;
}

/// Whether one of a tile's distances is at most the radius in its place.
EBM_CPU_CLONES bool any_reaches(const float* distances, const float* radii) {
  int found = 0;
#pragma omp simd reduction(| : found)
  for (std::int64_t i = 0; i < kTile; ++i) found |= distances[i] <= radii[i] ? 1 : 0;
  return found != 0;
}

/// What the pairs of a reference point and a sample say.
struct Across {
  double sum = 0;  ///< Σ_{i,j} k
  double precision = 0;
  double recall = 0;
};

double share(const std::vector<std::uint8_t>& yes) {
  return static_cast<double>(std::reduce(yes.begin(), yes.end(), std::int64_t{0})) /
         static_cast<double>(yes.size());
}

Across across(const Points& reference, const Within& of_reference, const Points& samples,
              const Within& of_samples, float scale) {
  std::vector<double> sums(static_cast<std::size_t>(reference.count()));
  std::vector<std::uint8_t> recalled(sums.size());
  std::vector<std::uint8_t> precise(static_cast<std::size_t>(samples.count()));
#pragma omp parallel for
  for (std::int64_t i = 0; i < reference.count(); ++i) {
    const auto row = static_cast<std::size_t>(i);
    const float radius = of_reference.radii[row];
    samples.for_each_tile(reference.row(i), [&](std::int64_t first, const Tile& distances) {
      sums[row] += static_cast<double>(kernel_sums(distances.data(), scale).sum);
      const auto start = static_cast<std::size_t>(first);
      if (any_reaches(distances.data(), &of_samples.radii[start])) recalled[row] = 1;
      if (!(least(distances.data()) <= radius)) return;
      for (std::size_t j = 0; j < distances.size(); ++j) {
        if (distances[j] <= radius) {
#pragma omp atomic write
          precise[start + j] = 1;
        }
      }
    });
  }
  return {std::reduce(sums.begin(), sums.end()), share(precise), share(recalled)};
}

struct Gaussian {
  Eigen::VectorXd mean;
  Eigen::MatrixXd covariance;

  explicit Gaussian(const States& rows) {
    const CentredStates centred(rows);
    mean = centred.mean();
    const auto n = static_cast<double>(rows.rows());
    covariance = centred.covariance() * (n / (n - 1));
  }
};

double frechet_distance(const Gaussian& a, const Gaussian& b) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(a.covariance);
  const Eigen::MatrixXd root = solver.eigenvectors() *
                               solver.eigenvalues().cwiseMax(0).cwiseSqrt().asDiagonal() *
                               solver.eigenvectors().transpose();
  const Eigen::MatrixXd product = root * b.covariance * root;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> of_product(product, Eigen::EigenvaluesOnly);
  const double common = of_product.eigenvalues().cwiseMax(0).cwiseSqrt().sum();
  const double distance =
      (a.mean - b.mean).squaredNorm() + a.covariance.trace() + b.covariance.trace() - 2 * common;
  return std::max(distance, 0.0);
}

/// An estimate of E k̃(x, x')² without bias: Song et al.'s HSIC of a set with itself.
double squared_centred_kernel(const Within& set, double n) {
  return (set.squares + set.sum * set.sum / ((n - 1) * (n - 2)) -
          2 * set.squared_row_sums / (n - 2)) /
         (n * (n - 3));
}

bool all_representable(std::span<const float> values) {
  constexpr float kLargest = 1e15F;  // whose distances' squares are far from overflow
  return std::ranges::all_of(values, [](float x) { return std::abs(x) <= kLargest; });
}

}  // namespace

SampleDistances sample_distances(std::span<const float> reference_values,
                                 std::span<const float> sample_values, std::int64_t features,
                                 int neighbours) {
  if (neighbours < 1) throw std::invalid_argument("sample distances: no nearest neighbour");
  const States reference_rows = rows_of(reference_values, features);
  const States sample_rows = rows_of(sample_values, features);
  const std::int64_t fewest = std::max(4, neighbours + 1);
  SampleDistances distances{kUndefined, kUndefined, kUndefined, kUndefined, kUndefined};
  if (reference_rows.rows() < fewest || sample_rows.rows() < fewest ||
      !all_representable(reference_values) || !all_representable(sample_values)) {
    return distances;
  }
  distances.frechet = frechet_distance(Gaussian(reference_rows), Gaussian(sample_rows));

  const double bandwidth = squared_bandwidth(reference_rows);
  const auto scale = static_cast<float>(1 / (2 * std::max(bandwidth, kLeastBandwidth)));
  const Points reference(reference_rows);
  const Points samples(sample_rows);
  const Within of_reference = within(reference, scale, neighbours);
  const Within of_samples = within(samples, scale, neighbours);
  const Across pairs = across(reference, of_reference, samples, of_samples, scale);
  distances.precision = pairs.precision;
  distances.recall = pairs.recall;
  if (bandwidth > kLeastBandwidth) {
    const auto n = static_cast<double>(reference.count());
    const auto m = static_cast<double>(samples.count());
    distances.mmd =
        of_reference.sum / (n * (n - 1)) + of_samples.sum / (m * (m - 1)) - 2 * pairs.sum / (n * m);
    const double draws = 2 / (n * (n - 1)) + 2 / (m * (m - 1)) + 4 / (n * m);
    distances.mmd_error = std::sqrt(draws * std::max(squared_centred_kernel(of_reference, n), 0.0));
  }
  return distances;
}

}  // namespace ebm

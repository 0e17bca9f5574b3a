#include "cuda/diagnostics/principal_components.h"

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

#include "cuda/diagnostics/centred_states.h"
#include "cuda/random/normal.cuh"

namespace ebm {
namespace {

using Eigen::Index;
using Rows = RowsOf<double>;

constexpr Index kExactDimensions = 256;
constexpr Index kOversampling = 10;
constexpr int kPowerIterations = 3;
constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
constexpr double kResolvable = 1e-12;  ///< a variance below this share of the largest is rounding

/// Eigenvalues, ascending, and their eigenvectors as columns.
struct Spectrum {
  Eigen::VectorXd values;
  Eigen::MatrixXd vectors;
};

Spectrum spectrum(const Eigen::MatrixXd& symmetric) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(symmetric);
  return {solver.eigenvalues(), solver.eigenvectors()};
}

Eigen::MatrixXd random_normals(Index rows, Index columns, std::uint64_t seed) {
  const RandomStream stream{.seed = seed, .purpose = Purpose::principal_components};
  Eigen::MatrixXd values(rows, columns);
  for (Index row = 0; row < rows; ++row) {
    for (Index column = 0; column < columns; ++column) {
      const Floats4 four = normals(
          stream.words(0, static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(column / 4)));
      values(row, column) = static_cast<double>(four.v[column % 4]);
    }
  }
  return values;
}

Eigen::MatrixXd orthonormal_basis(const Eigen::MatrixXd& columns) {
  const Eigen::HouseholderQR<Eigen::MatrixXd> qr(columns);
  return qr.householderQ() * Eigen::MatrixXd::Identity(columns.rows(), columns.cols());
}

/// `count` eigenvectors of the largest eigenvalues, or some more.
Spectrum leading_spectrum(const CentredStates& data, Index dimensions, Index count,
                          std::uint64_t seed) {
  if (dimensions <= kExactDimensions) return spectrum(data.covariance());
  const Index columns = std::min(count + kOversampling, dimensions);
  Eigen::MatrixXd basis = random_normals(dimensions, columns, seed);
  for (int i = 0; i <= kPowerIterations; ++i) {
    basis = orthonormal_basis(data.covariance_times(basis));
  }
  // The covariance within the basis. In double: what is left of the trace may be little.
  const Rows inner = data.times<double>(basis);
  Spectrum within = spectrum(inner.transpose() * inner / static_cast<double>(inner.rows()));
  within.vectors = basis * within.vectors;
  return within;
}

/// States by their components, and the squares of their distances from the mean. NaN, both, of what
/// is not finite.
struct Coordinates {
  Rows values;
  Eigen::VectorXd squares;
};

Coordinates coordinates(std::span<const float> states, const std::vector<double>& mean_values,
                        const std::vector<double>& axis_values) {
  const auto dimensions = static_cast<Index>(mean_values.size());
  const States all = rows_of(states, dimensions);
  const Eigen::Map<const Eigen::RowVectorXd> mean(mean_values.data(), dimensions);
  const Eigen::Map<const Rows> axes(
      axis_values.data(), static_cast<Index>(axis_values.size()) / dimensions, dimensions);
  Coordinates found{Rows(all.rows(), axes.rows()), Eigen::VectorXd(all.rows())};
  for_each_part(all.rows(), rows_at_once(dimensions), [&](Index first, Index count) {
    const Rows centred = all.middleRows(first, count).cast<double>().rowwise() - mean;
    found.values.middleRows(first, count).noalias() = centred * axes.transpose();
    found.squares.segment(first, count) = centred.rowwise().squaredNorm();
    for (Index row = first; row < first + count; ++row) {
      if (!std::isfinite(found.squares[row])) {
        found.values.row(row).setConstant(kUndefined);
        found.squares[row] = kUndefined;
      }
    }
  });
  return found;
}

}  // namespace

PrincipalComponents PrincipalComponents::fit(std::span<const float> states, std::int64_t dimensions,
                                             std::int64_t components, std::uint64_t seed) {
  const States all = rows_of(states, dimensions);
  if (all.rows() < 2 || components < 0) {
    throw std::invalid_argument(
        "principal components: two states at least, and no fewer than no "
        "components");
  }
  if (!std::ranges::all_of(states, [](float x) { return std::isfinite(x); })) {
    throw std::invalid_argument("principal components: a state is not finite");
  }
  const CentredStates data(all);
  const Index count = std::min({components, dimensions, all.rows() - 1});
  const Spectrum leading = leading_spectrum(data, dimensions, count, seed);

  PrincipalComponents fit;
  fit.mean_.assign(data.mean().begin(), data.mean().end());
  fit.axes_.resize(static_cast<std::size_t>(count * dimensions));
  Eigen::Map<Rows> axes(fit.axes_.data(), count, dimensions);
  double rest = data.total_variance();
  for (Index i = 0; i < count; ++i) {
    const Index at = leading.values.size() - 1 - i;
    const double variance = std::max(leading.values[at], 0.0);
    fit.variances_.push_back(variance);
    rest -= variance;
    Index largest = 0;
    leading.vectors.col(at).cwiseAbs().maxCoeff(&largest);
    const double sign = leading.vectors(largest, at) < 0 ? -1 : 1;
    axes.row(i) = sign * leading.vectors.col(at).transpose();
  }
  if (count < dimensions) {
    fit.residual_variance_ = std::max(rest, 0.0) / static_cast<double>(dimensions - count);
  }
  return fit;
}

std::vector<float> PrincipalComponents::project(std::span<const float> states) const {
  const Coordinates all = coordinates(states, mean_, axes_);
  std::vector<float> projected(static_cast<std::size_t>(all.values.size()));
  Eigen::Map<RowsOf<float>>(projected.data(), all.values.rows(), all.values.cols()) =
      all.values.cast<float>();
  return projected;
}

std::vector<double> PrincipalComponents::log_densities(std::span<const float> states) const {
  const Coordinates all = coordinates(states, mean_, axes_);
  const auto rest = static_cast<double>(dimensions() - components());
  std::vector<double> spread = variances_;
  if (rest > 0) spread.push_back(residual_variance_);
  const auto [least, most] = std::ranges::minmax(spread);
  std::vector<double> densities(static_cast<std::size_t>(all.values.rows()), kUndefined);
  if (!(least > kResolvable * most)) return densities;

  double log_volume = static_cast<double>(dimensions()) * std::log(2 * std::numbers::pi);
  for (const double variance : variances_) log_volume += std::log(variance);
  if (rest > 0) log_volume += rest * std::log(residual_variance_);
  for (Index row = 0; row < all.values.rows(); ++row) {
    double distance = 0;
    double outside = all.squares[row];
    for (Index i = 0; i < components(); ++i) {
      const double square = all.values(row, i) * all.values(row, i);
      distance += square / variances_[static_cast<std::size_t>(i)];
      outside -= square;
    }
    if (rest > 0) distance += (outside < 0 ? 0 : outside) / residual_variance_;
    densities[static_cast<std::size_t>(row)] = -(log_volume + distance) / 2;
  }
  return densities;
}

}  // namespace ebm

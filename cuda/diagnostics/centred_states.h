// Moments of many states, the same bits for any number of threads. For this folder's .cpp files
// alone: Eigen's headers are long.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstdint>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>

#include "cuda/base/ceil_div.h"

namespace ebm {

template <class T>
using RowsOf = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using States = Eigen::Map<const RowsOf<float>>;

/// Throws std::invalid_argument where `values` are no whole rows.
inline States rows_of(std::span<const float> values, std::int64_t columns) {
  const auto size = static_cast<std::int64_t>(values.size());
  if (columns < 1 || size % columns != 0) {
    throw std::invalid_argument(std::to_string(size) + " values are no rows of " +
                                std::to_string(columns));
  }
  return {values.data(), size / columns, columns};
}

/// Calls work(first, count) for the parts, `size` long, of 0 … total − 1, on all threads.
template <class Work>
void for_each_part(Eigen::Index total, Eigen::Index size, const Work& work) {
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic)
  for (Eigen::Index first = 0; first < total; first += size) {
    try {
      work(first, std::min(size, total - first));
    } catch (...) {  // std::bad_alloc may not leave a parallel region
#pragma omp critical
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

/// So many rows that a centred copy of them fits a cache. Part of the result's bits.
inline Eigen::Index rows_at_once(Eigen::Index dimensions) {
  return std::clamp<Eigen::Index>((Eigen::Index{1} << 18) / dimensions, 8, 256);
}

/// Data less their mean, which are never copied as a whole.
class CentredStates {
 public:
  explicit CentredStates(const States& states) : states_(states), mean_(states.cols()) {
    for_each_part(states.cols(), kStripe, [&](Eigen::Index first, Eigen::Index count) {
      mean_.segment(first, count) =
          states.middleCols(first, count).template cast<double>().colwise().sum() /
          static_cast<double>(states.rows());
    });
  }

  const Eigen::RowVectorXd& mean() const { return mean_; }

  double total_variance() const {
    Eigen::VectorXd squares(ceil_div(states_.cols(), kStripe));
    for_each_part(states_.cols(), kStripe, [&](Eigen::Index first, Eigen::Index count) {
      double sum = 0;
      for_each_block([&](Eigen::Index row, Eigen::Index rows) {
        sum += block<double>(row, rows, first, count).squaredNorm();
      });
      squares[first / kStripe] = sum;
    });
    return squares.sum() / static_cast<double>(states_.rows());
  }

  /// The covariance, over n.
  Eigen::MatrixXd covariance() const {
    Eigen::MatrixXd product = Eigen::MatrixXd::Zero(states_.cols(), states_.cols());
    for_each_part(states_.cols(), kStripe, [&](Eigen::Index first, Eigen::Index count) {
      for_each_block([&](Eigen::Index row, Eigen::Index rows) {
        product.middleCols(first, count).noalias() +=
            block<double>(row, rows, 0, states_.cols()).transpose() *
            block<double>(row, rows, first, count);
      });
    });
    return product / static_cast<double>(states_.rows());
  }

  /// The states' products with the columns of q.
  template <class T>
  RowsOf<T> times(const Eigen::MatrixXd& q) const {
    RowsOf<T> product(states_.rows(), q.cols());
    for_each_part(states_.rows(), rows_at_once(states_.cols()),
                  [&](Eigen::Index first, Eigen::Index count) {
                    product.middleRows(first, count).noalias() =
                        block<T>(first, count, 0, states_.cols()) * q.template cast<T>();
                  });
    return product;
  }

  /// The covariance's product with the columns of q, in float but for its sums over many states.
  Eigen::MatrixXd covariance_times(const Eigen::MatrixXd& q) const {
    const RowsOf<float> inner = times<float>(q);
    Eigen::MatrixXd product = Eigen::MatrixXd::Zero(q.rows(), q.cols());
    for_each_part(q.rows(), kStripe, [&](Eigen::Index first, Eigen::Index count) {
      Eigen::MatrixXf part(count, q.cols());
      for_each_block([&](Eigen::Index row, Eigen::Index rows) {
        part.noalias() =
            block<float>(row, rows, first, count).transpose() * inner.middleRows(row, rows);
        product.middleRows(first, count) += part.cast<double>();
      });
    });
    return product / static_cast<double>(states_.rows());
  }

 private:
  /// Neighbouring dimensions that a thread takes at once.
  static constexpr Eigen::Index kStripe = 64;

  template <class Work>
  void for_each_block(const Work& work) const {
    constexpr Eigen::Index kRows = 256;
    for (Eigen::Index row = 0; row < states_.rows(); row += kRows) {
      work(row, std::min(kRows, states_.rows() - row));
    }
  }

  template <class T>
  RowsOf<T> block(Eigen::Index row, Eigen::Index rows, Eigen::Index column,
                  Eigen::Index columns) const {
    return states_.block(row, column, rows, columns).template cast<T>().rowwise() -
           mean_.segment(column, columns).template cast<T>();
  }

  States states_;
  Eigen::RowVectorXd mean_;
};

}  // namespace ebm

// States out of nothing and out of tables: noise, rows, and draws from the toy densities.

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numbers>
#include <string>
#include <vector>

#include "cuda/kernels/projections.cuh"
#include "cuda/kernels/random_states.cuh"
#include "cuda/kernels/rows.cuh"
#include "cuda/kernels/toy_data.cuh"
#include "cuda/random/normal.cuh"
#include "tests/support/kernel_launch.h"
#include "tests/support/numbers.h"
#include "tests/support/statistics.h"

namespace ebm {
namespace {

constexpr RandomStream kStream{.seed = 123, .purpose = Purpose::bank, .iteration = 9};

std::size_t as_size(std::int64_t n) { return static_cast<std::size_t>(n); }

// The launchers under test.

enum class Fill { uniform, normal, add_normal };

/// Fills the first `count` rows.
void fill_states(Fill fill, const RandomStream& numbers, float scale, std::int64_t count,
                 std::int64_t row_size, std::vector<float>& states) {
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    float* const x = memory.in_out(states);
    switch (fill) {
      case Fill::uniform:
        return fill_uniform(Queue(stream...), numbers, scale, count, row_size, x);
      case Fill::normal:
        return fill_normal(Queue(stream...), numbers, scale, count, row_size, x);
      case Fill::add_normal:
        return add_normal(Queue(stream...), numbers, scale, count, row_size, x);
    }
  });
}

std::vector<float> filled(Fill fill, float scale, std::int64_t count, std::int64_t row_size,
                          const RandomStream& stream = kStream) {
  std::vector<float> states(as_size(count * row_size), 0.0F);
  fill_states(fill, stream, scale, count, row_size, states);
  return states;
}

std::vector<std::uint32_t> drawn_rows(std::uint32_t table_rows, std::int64_t count) {
  std::vector<std::uint32_t> rows(as_size(count));
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    draw_rows(Queue(stream...), kStream, table_rows, count, memory.in_out(rows));
  });
  return rows;
}

std::vector<float> toy_points(const ToyDraw& draw, std::int64_t count,
                              const RandomStream& numbers = kStream) {
  std::vector<float> points(as_size(2 * count));
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    draw_toy_data(Queue(stream...), draw, numbers, count, memory.in_out(points));
  });
  return points;
}

std::vector<float> gathered(const std::vector<float>& table, const std::vector<std::uint32_t>& rows,
                            std::int64_t row_size) {
  std::vector<float> out(rows.size() * as_size(row_size));
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    gather_rows(Queue(stream...), memory.in(table), memory.in(rows), std::ssize(rows), row_size,
                memory.in_out(out));
  });
  return out;
}

void scatter(const std::vector<float>& in, const std::vector<std::uint32_t>& rows,
             std::int64_t row_size, std::vector<float>& table) {
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    scatter_rows(Queue(stream...), memory.in(in), memory.in(rows), std::ssize(rows), row_size,
                 memory.in_out(table));
  });
}

/// Expects the same bits from 1 thread and from 5.
template <class Result>
void expect_same_on_any_threads(const std::function<Result()>& compute) {
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const Result alone = compute();
  omp_set_num_threads(5);
  const Result together = compute();
  omp_set_num_threads(threads);
  EXPECT_EQ(alone, together);
}

// Noise.

TEST(FillBox, IsTheSymmetricUniformMovedAndStretched) {
  const std::vector<float> symmetric = filled(Fill::uniform, 1.0F, 50, 7);
  std::vector<float> states(symmetric.size());
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    fill_box(Queue(stream...), kStream, -1.0F, 3.0F, 50, 7, memory.in_out(states));
  });
  for (std::size_t i = 0; i < states.size(); ++i) {
    EXPECT_FLOAT_EQ(states[i], 1 + 2 * symmetric[i]) << i;
  }
}

TEST(RandomStates, AreTheStreamsNumbersInOrder) {
  constexpr std::int64_t kRows = 6;
  for (const std::int64_t row_size : {1, 2, 3, 4, 5, 784, 3072}) {
    const std::vector<float> uniforms = filled(Fill::uniform, 1.5F, kRows, row_size);
    const std::vector<float> normal_numbers = filled(Fill::normal, 1.5F, kRows, row_size);
    for (std::uint32_t row = 0; row < kRows; ++row) {
      for (std::uint32_t k = 0; k < row_size; ++k) {
        const Words4 words = kStream.words(0, row, k / 4);
        const std::size_t i = as_size(row * row_size + k);
        ASSERT_EQ(uniforms[i], 1.5F * uniform_symmetric(words.v[k % 4])) << row << " " << k;
        ASSERT_NEAR(normal_numbers[i], 1.5F * normals(words).v[k % 4], 1e-6) << row << " " << k;
      }
    }
  }
}

TEST(RandomStates, AddNormalAddsWhatFillNormalFills) {
  const std::vector<float> z = filled(Fill::normal, 1, 10, 7);
  const std::vector<float> data = numbers(70, 1);
  std::vector<float> noisy = data;
  fill_states(Fill::add_normal, kStream, 0.03F, 10, 7, noisy);
  for (std::size_t i = 0; i < data.size(); ++i) {
    EXPECT_NEAR(noisy[i], data[i] + 0.03F * z[i], 2 * kRounding) << i;
  }
  noisy = data;
  fill_states(Fill::add_normal, kStream, 0, 10, 7, noisy);
  EXPECT_EQ(noisy, data);
}

TEST(RandomStates, StayInsideTheirRows) {
  for (const Fill fill : {Fill::uniform, Fill::normal, Fill::add_normal}) {
    std::vector<float> states(3 * 5 + 4, 7.0F);
    fill_states(fill, kStream, 0.5F, 3, 5, states);
    for (std::size_t i = 15; i < states.size(); ++i) {
      EXPECT_EQ(states[i], 7.0F) << i;
    }
  }
}

TEST(RandomStates, ARowDoesNotDependOnHowManyThereAre) {
  for (const Fill fill : {Fill::uniform, Fill::normal}) {
    const std::vector<float> few = filled(fill, 1, 3, 10);
    std::vector<float> many = filled(fill, 1, 1000, 10);
    many.resize(few.size());
    EXPECT_EQ(few, many);
  }
}

TEST(RandomStates, DoNotDependOnThreads) {
  expect_same_on_any_threads<std::vector<float>>([] { return filled(Fill::normal, 1, 999, 13); });
}

TEST(RandomStates, UniformLaw) {
  // False alarm: kFalseAlarm.
  const std::vector<float> states = filled(Fill::uniform, 2, 1000, 100);
  EXPECT_LT(
      kolmogorov_smirnov({states.begin(), states.end()}, [](double x) { return (x + 2) / 4; }),
      kolmogorov_smirnov_bound(states.size()));
}

// Rows.

TEST(Rows, DrawIsThatOfDistinctRows) {
  const DistinctRows draw(kStream, 1000);
  const std::vector<std::uint32_t> rows = drawn_rows(1000, 100);
  for (std::uint32_t i = 0; i < 100; ++i) {
    EXPECT_EQ(rows[i], draw(i)) << i;
  }
  expect_same_on_any_threads<std::vector<std::uint32_t>>([] { return drawn_rows(60'000, 5000); });
}

TEST(Rows, GatherTakesTheNamedRows) {
  const std::vector<float> table = {0, 1, 10, 11, 20, 21, 30, 31};
  const std::vector<std::uint32_t> rows = {3, 0, 2, 2};
  EXPECT_EQ(gathered(table, rows, 2), (std::vector<float>{30, 31, 0, 1, 20, 21, 20, 21}));
}

TEST(Rows, ScatterPutsBackWhatGatherTookAndLeavesTheRest) {
  constexpr std::int64_t kTableRows = 200;
  constexpr std::int64_t kCount = 60;
  for (const std::int64_t row_size : {1, 2, 17}) {
    const std::vector<float> before = numbers(as_size(kTableRows * row_size), 1);
    const std::vector<std::uint32_t> rows = drawn_rows(kTableRows, kCount);
    std::vector<float> batch = gathered(before, rows, row_size);
    std::vector<float> after = before;
    scatter(batch, rows, row_size, after);
    EXPECT_EQ(after, before);

    batch = numbers(batch.size(), 2);
    std::vector<float> expected = before;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      expected[rows[i / as_size(row_size)] * as_size(row_size) + i % as_size(row_size)] = batch[i];
    }
    scatter(batch, rows, row_size, after);
    EXPECT_EQ(after, expected);
  }
}

// Toy data.

constexpr std::int64_t kPoints = 100'000;

/// Points sorted into components whose sd is so small that none is nearer to another's centre.
constexpr float kNarrow = 0.05F;

/// Means, variances and covariance of pairs of residuals, tested against 0, 1 and 0.
class Residuals {
 public:
  void push(double u, double v) {
    const double terms[5] = {u, v, u * u - 1, v * v - 1, u * v};
    for (std::size_t k = 0; k < 5; ++k) {
      sums_[k] += terms[k];
    }
    ++n_;
  }
  double count() const { return n_; }
  /// False alarms: at most kFalseAlarm each, for normal residuals and for uniform ones, whose
  /// squares vary less.
  void expect_standardized(const std::string& name) const {
    constexpr double kVariances[5] = {1, 1, 2, 2, 1};
    for (std::size_t k = 0; k < 5; ++k) {
      EXPECT_NEAR(sums_[k] / n_, 0, kStandardErrors * std::sqrt(kVariances[k] / n_))
          << name << ", moment " << k;
    }
  }

 private:
  double sums_[5] = {};
  double n_ = 0;
};

TEST(ToyData, MixtureOfGaussians) {
  for (const int groups : {1, 3, 8}) {
    const ToyDraw draw{.rings = false, .groups = groups, .sd = kNarrow, .radius = 1.5F};
    const std::vector<float> points = toy_points(draw, kPoints);
    std::vector<Residuals> residuals(static_cast<std::size_t>(groups));
    for (std::size_t i = 0; i < points.size(); i += 2) {
      const auto x = static_cast<double>(points[i]);
      const auto y = static_cast<double>(points[i + 1]);
      const double turns = std::atan2(y, x) / (2 * std::numbers::pi);
      const int k = static_cast<int>(std::lround(turns * groups) + groups) % groups;
      const double angle = 2 * std::numbers::pi * k / groups;
      residuals[static_cast<std::size_t>(k)].push((x - 1.5 * std::cos(angle)) / kNarrow,
                                                  (y - 1.5 * std::sin(angle)) / kNarrow);
    }
    std::vector<double> counts;
    for (std::size_t k = 0; k < residuals.size(); ++k) {
      residuals[k].expect_standardized("component " + std::to_string(k));
      counts.push_back(residuals[k].count());
    }
    // False alarm: kFalseAlarm.
    EXPECT_LE(chi_square_uniform(counts), chi_square_bound(counts.size() - 1)) << groups;
  }
}

TEST(ToyData, RadiusOfRings) {
  // The published rings' sd: the components overlap. False alarm: kFalseAlarm.
  const ToyDraw draw{.rings = true, .groups = 4, .sd = 0.15F, .radius = 1};
  std::vector<double> radii;
  const std::vector<float> points = toy_points(draw, kPoints);
  for (std::size_t i = 0; i < points.size(); i += 2) {
    radii.push_back(std::hypot(static_cast<double>(points[i]), static_cast<double>(points[i + 1])));
  }
  const auto mixture = [](double r) {
    double sum = 0;
    for (int k = 1; k <= 4; ++k) {
      sum += normal_cdf((r - k) / 0.15) / 4;
    }
    return sum;
  };
  EXPECT_LT(kolmogorov_smirnov(radii, mixture), kolmogorov_smirnov_bound(radii.size()));
}

TEST(ToyData, RingsAreEvenAndTheirAnglesUniform) {
  // Every ring's share of every 1/16 turn, the angle's distribution function on every ring, and the
  // distance's moments with the (standardized) angle's. False alarms: kFalseAlarm each.
  constexpr std::size_t kRings = 5;
  constexpr std::size_t kSectors = 16;
  const ToyDraw draw{.rings = true, .groups = kRings, .sd = kNarrow, .radius = 0.7F};
  const std::vector<float> points = toy_points(draw, kPoints);
  std::vector<double> cells(kRings * kSectors);
  std::vector<std::vector<double>> turns(kRings);
  Residuals residuals;
  for (std::size_t i = 0; i < points.size(); i += 2) {
    const auto x = static_cast<double>(points[i]);
    const auto y = static_cast<double>(points[i + 1]);
    const auto ring = static_cast<std::size_t>(std::lround(std::hypot(x, y) / 0.7)) - 1;
    ASSERT_LT(ring, kRings);
    const double turn = std::atan2(y, x) / (2 * std::numbers::pi) + 0.5;
    const auto sector = static_cast<std::size_t>(turn * kSectors) % kSectors;
    ++cells[ring * kSectors + sector];
    residuals.push((std::hypot(x, y) - 0.7 * static_cast<double>(ring + 1)) / kNarrow,
                   std::sqrt(12.0) * (turn - 0.5));
    turns[ring].push_back(turn);
  }
  EXPECT_LT(chi_square_uniform(cells), chi_square_bound(cells.size() - 1));
  residuals.expect_standardized("distance and angle");
  for (const std::vector<double>& sample : turns) {
    EXPECT_LT(kolmogorov_smirnov(sample, [](double turn) { return turn; }),
              kolmogorov_smirnov_bound(sample.size()));
  }
}

TEST(ToyData, DependsOnTheStreamAlone) {
  for (const bool rings : {false, true}) {
    const ToyDraw draw{.rings = rings};
    const std::vector<float> few = toy_points(draw, 10);
    std::vector<float> many = toy_points(draw, 5000);
    many.resize(few.size());
    EXPECT_EQ(few, many);
    RandomStream next = kStream;
    ++next.iteration;
    EXPECT_NE(toy_points(draw, 10, next), few);
    expect_same_on_any_threads<std::vector<float>>([&] { return toy_points(draw, 5000); });
  }
}

TEST(ProjectStates, IsTheProductWithEveryDirection) {
  constexpr std::int64_t kRows = 37;
  constexpr std::int64_t kSize = 11;
  constexpr std::int64_t kDirections = 3;
  const std::vector<float> states = filled(Fill::normal, 1, kRows, kSize);
  const std::vector<float> directions = filled(Fill::uniform, 1, kDirections, kSize);
  std::vector<float> out(kRows * kDirections);
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    project_states(Queue(stream...), memory.in(states), kRows, kSize, memory.in(directions),
                   kDirections, memory.in_out(out));
  });
  for (std::int64_t row = 0; row < kRows; ++row) {
    for (std::int64_t p = 0; p < kDirections; ++p) {
      double sum = 0;
      for (std::int64_t k = 0; k < kSize; ++k) {
        sum += static_cast<double>(states[as_size(row * kSize + k)]) *
               static_cast<double>(directions[as_size(p * kSize + k)]);
      }
      EXPECT_FLOAT_EQ(out[as_size(row * kDirections + p)], static_cast<float>(sum))
          << row << ' ' << p;
    }
  }
}

}  // namespace
}  // namespace ebm

// Sums of activations of either type by CUDA kernels: columns, and the energy head's passes,
// against sums in double.

#include <gtest/gtest.h>

#include <vector>

#include "cuda/kernels/energy_head.cuh"
#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/nn/gpu/column_sums.cuh"
#include "tests/cuda/nn/gpu/stored_activations.h"
#include "tests/support/kernel_launch.h"

namespace ebm {
namespace {

template <class T>
class ActivationSums : public testing::Test {};

using StorageTypes = testing::Types<float, Bfloat16>;
TYPED_TEST_SUITE(ActivationSums, StorageTypes);

template <class T>
double exactly(T value) {
  return static_cast<double>(static_cast<float>(value));
}

TYPED_TEST(ActivationSums, ColumnsAreThePlainSums) {
  for (const std::int64_t rows : {1, 7, 100, 257, 5000}) {
    for (const std::int64_t columns : {1, 3, 32, 33}) {
      const auto width = static_cast<std::size_t>(columns);
      const auto x = stored_numbers<TypeParam>(static_cast<std::size_t>(rows) * width, 1);
      std::vector<float> scratch(column_sums_scratch(rows, columns), kNan);
      std::vector<float> sums(width, kNan);
      run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
        column_sums(stream, rows, columns, memory.in(x), memory.in_out(scratch),
                    memory.in_out(sums));
      });
      std::vector<ExactSum> exact(width);
      for (std::size_t i = 0; i < x.size(); ++i) {
        exact[i % width].add(exactly(x[i]));
      }
      for (std::size_t j = 0; j < width; ++j) {
        EXPECT_NEAR(sums[j], exact[j].value, exact[j].error<float>()) << rows << " x " << columns;
      }
    }
  }
}

TYPED_TEST(ActivationSums, EnergyHeadForwardIsTheSumInDouble) {
  for (const std::size_t inputs : {1U, 5U, 64U, 300U, 2048U}) {
    const std::size_t states = 3;
    const auto x = stored_numbers<TypeParam>(states * inputs, 1);
    const auto weights = numbers(inputs, 2);
    const std::vector<float> bias = {0.3F};
    std::vector<float> f(states, kNan);
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      energy_head_forward(stream, static_cast<std::int64_t>(states),
                          static_cast<std::int64_t>(inputs), memory.in(weights), memory.in(bias),
                          memory.in(x), memory.in_out(f));
    });
    for (std::size_t i = 0; i < states; ++i) {
      double exact = static_cast<double>(bias[0]);
      for (std::size_t k = 0; k < inputs; ++k) {
        exact += static_cast<double>(weights[k]) * exactly(x[i * inputs + k]);
      }
      // Sums in double differ by less than a float's last place, and may round to either side.
      EXPECT_LE(ulps(f[i], exact), 0.51) << inputs << " inputs, state " << i;
    }
  }
}

TYPED_TEST(ActivationSums, EnergyHeadBackwardOfLiveStatesOnly) {
  const std::size_t states = 5;
  const float df = -0.37F;
  for (const std::size_t inputs : {1U, 6U, 64U, 300U}) {
    const auto weights = numbers(inputs, 1);
    for (const bool behind_relu : {false, true}) {
      const auto mask = stored_numbers<TypeParam>(behind_relu ? states * inputs : 0, 2);
      for (const std::size_t live : {0U, 3U, 5U}) {
        std::vector<TypeParam> dx(states * inputs, static_cast<TypeParam>(kNan));
        run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
          energy_head_backward(stream, static_cast<std::int64_t>(states),
                               static_cast<std::int64_t>(inputs), memory.in(weights), df,
                               static_cast<std::int64_t>(live), memory.in(mask), memory.in_out(dx));
        });
        for (std::size_t i = 0; i < dx.size(); ++i) {
          const float gradient = i / inputs < live ? df * weights[i % inputs] : 0.0F;
          const float expected =
              behind_relu ? LeakyRelu{}.gradient(static_cast<float>(mask[i]), gradient) : gradient;
          EXPECT_EQ(static_cast<float>(dx[i]), static_cast<float>(static_cast<TypeParam>(expected)))
              << inputs << " inputs, " << live << " live, " << i;
        }
      }
    }
  }
}

TYPED_TEST(ActivationSums, EnergyHeadWeightGradientOfLiveStatesOnly) {
  const std::size_t inputs = 300;
  const float df = -0.37F;
  auto x = stored_numbers<TypeParam>(5 * inputs, 1);
  for (const std::size_t live : {0U, 3U, 5U}) {
    std::vector<float> dw(inputs, kNan);
    std::vector<float> db = {kNan};
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      energy_head_weight_gradient(stream, static_cast<std::int64_t>(live),
                                  static_cast<std::int64_t>(inputs), df, memory.in(x),
                                  memory.in_out(dw), memory.in_out(db));
    });
    for (std::size_t k = 0; k < inputs; ++k) {
      double exact = 0;
      for (std::size_t i = 0; i < live; ++i) {
        exact += exactly(x[i * inputs + k]);
      }
      exact *= static_cast<double>(df);
      EXPECT_LE(ulps(dw[k], exact), 0.51) << live << " live, " << k;
    }
    EXPECT_EQ(db[0], df * static_cast<float>(live));
  }
}

}  // namespace
}  // namespace ebm

#include "tools/benchmark/machine_limits.h"

#include <benchmark/benchmark.h>

#include <cstring>

#include "cuda/base/host_device.cuh"

namespace ebm {
namespace {

/// Twelve sums hide the latency of a multiply–add on every processor that has two units for it.
template <int lanes>
EBM_HOST_DEVICE double multiply_add_in(std::int64_t rounds) {
  using Lanes [[gnu::vector_size(lanes * sizeof(float))]] = float;
  constexpr int kSums = 12;
  Lanes sum[kSums];
  for (int i = 0; i < kSums; ++i) {  // all different, or the compiler would do the work once
    sum[i] = Lanes{} + static_cast<float>(i);
  }
  const Lanes factor = Lanes{} + 0.999F;
  const Lanes summand = Lanes{} + 0.001F;
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (Lanes& s : sum) {
      s = s * factor + summand;
    }
  }
  Lanes total = sum[0];
  for (int i = 1; i < kSums; ++i) {
    total += sum[i];
  }
  float seen[lanes];
  std::memcpy(seen, &total, sizeof(seen));
  benchmark::DoNotOptimize(seen);
  return 2.0 * lanes * kSums * static_cast<double>(rounds);
}

#if defined(__x86_64__)
[[gnu::target("avx512f,fma")]] double multiply_add_avx512(std::int64_t rounds) {
  return multiply_add_in<16>(rounds);
}
[[gnu::target("avx2,fma")]] double multiply_add_avx2(std::int64_t rounds) {
  return multiply_add_in<8>(rounds);
}
#endif

}  // namespace

double multiply_add(std::int64_t rounds) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) {
    return multiply_add_avx512(rounds);
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return multiply_add_avx2(rounds);
  }
#endif
  return multiply_add_in<4>(rounds);
}

void triad(std::span<float> a, std::span<const float> b, std::span<const float> c) {
  const auto n = static_cast<std::int64_t>(a.size());
#pragma omp parallel for simd schedule(static)
  for (std::int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    a[at] = b[at] + 3.0F * c[at];
  }
}

}  // namespace ebm

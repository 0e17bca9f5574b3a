// Sorting and ranking, by Thrust: its OpenMP system on the CPU, its CUDA system on a device.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cuda/device/queue.h"

namespace ebm {

// Of the host's values, without a NaN; a device's queue has them copied there and back. The same
// bits for any number of threads: sorts, and scans of integers, do not depend on it.

/// In ascending order.
std::vector<double> sorted(std::span<const double> values, const Queue& queue = {});

/// The value that a share `p` of them does not exceed, between two of them as NumPy has it; of
/// values in ascending order, at least one.
double quantile(std::span<const double> ascending, double p);

/// Twice the rank of every value: 2 for the smallest one, and where several are equal, twice the
/// mean of their ranks.
std::vector<std::int64_t> doubled_ranks(std::span<const double> values, const Queue& queue = {});

/// Every value by its rank k among all n, the mean of ranks where several are equal:
/// Φ⁻¹((k − 3/8)/(n + 1/4)) (Blom, 1958).
std::vector<double> normal_scores(std::span<const double> values, const Queue& queue = {});

}  // namespace ebm

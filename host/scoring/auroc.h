// How well one number tells two sets apart.
#pragma once

#include <span>

namespace ebm {

/// The area under the ROC curve of telling `positives` from `negatives` by being larger: the chance
/// that one of the former is larger than one of the latter, ties counting half. Exact: pairs are
/// counted, by rank. NaN where a value is, or a set is empty.
double auroc(std::span<const float> negatives, std::span<const float> positives);

}  // namespace ebm

// The references: configurations that have every key, with its default, what it may be and what it
// means. configs/reference.yaml and configs/sampling/reference.yaml are these texts, which
// `ebm_train --reference` and `ebm_sample --reference` print.
#pragma once

#include <string>

namespace ebm {

std::string training_reference();
std::string sampling_reference();

}  // namespace ebm

// The references: configurations that have every key, with its default, what it may be and what it
// means. configs/reference.yaml and configs/{sampling,evaluation}/reference.yaml are these texts,
// which `ebm_train --reference`, `ebm_sample --reference` and `ebm_evaluate --reference` print.
#pragma once

#include <string>

namespace ebm {

std::string training_reference();
std::string sampling_reference();
std::string evaluation_reference();

}  // namespace ebm

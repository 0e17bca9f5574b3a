// An evaluation as evaluation.json.
#pragma once

#include <string>
#include <string_view>

#include "host/evaluation/evaluation.h"

namespace ebm {

std::string_view to_string(Answer answer);

/// "convergent", "non-convergent" or "undecided".
std::string_view verdict_name(Answer convergent);

/// The text of evaluation.json, whose keys docs/evaluation.md explains. What is not a number is
/// null.
std::string to_json(const Evaluation& evaluation, const Verdict& verdict);

}  // namespace ebm

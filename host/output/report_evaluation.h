// What a report says of a run's evaluation.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "host/output/html.h"
#include "host/output/report_pictures.h"

namespace ebm {

/// The verdict, what it means, and why. `evaluation` is what evaluation.json holds, or null where
/// there is none; any part of it may be missing, and any number null.
HtmlSection verdict_section(const nlohmann::ordered_json& evaluation);

/// The evidence: criteria, log Z, likelihood, mixing, distances and whatever else there is, as
/// tables, and the plots of the folder. Throws InputFileError as ReportPictures does, and when
/// `criteria` is not a list of objects.
HtmlSection evaluation_section(const nlohmann::ordered_json& evaluation,
                               const std::filesystem::path& folder, ReportPictures& pictures);

}  // namespace ebm

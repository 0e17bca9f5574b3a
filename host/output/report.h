// A training run as one page that opens anywhere.
#pragma once

#include <filesystem>

namespace ebm {

/// Writes the page `to`, and returns that. It is HTML with everything in it, smaller than 5 MB, and
/// says of the run: the verdict, what was run, the diagnosis, landscapes or grids in time, long
/// runs, and the evidence of the evaluation.
///
/// `run` is a training run's folder, or empty where a network alone was evaluated. `evaluation` is
/// the folder that ebm_evaluate wrote; empty for RUN/evaluation. What is not there is left out, of
/// either. Of pictures made in time as many are shown as fit, at most six of each kind: the first,
/// the last, and some evenly between.
///
/// Throws InputFileError for malformed files, and when there is neither a run nor an evaluation;
/// ConfigurationError for the run's configuration; OutputError.
std::filesystem::path write_report(const std::filesystem::path& run,
                                   const std::filesystem::path& evaluation,
                                   const std::filesystem::path& to);

}  // namespace ebm

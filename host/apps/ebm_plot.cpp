// Redraws the plots of a training run from its files, and writes its report.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cuda/base/errors.h"
#include "host/apps/exit_status.h"
#include "host/apps/run_options.h"
#include "host/output/diagnosis.h"
#include "host/output/diagnostics_csv.h"
#include "host/output/plot.h"
#include "host/output/plot_style.h"
#include "host/output/report.h"
#include "host/training/environment.h"

namespace {

using namespace ebm;
namespace fs = std::filesystem;

void require_run(const fs::path& run) {
  if (!fs::exists(run / "diagnostics.csv")) {
    throw InputFileError(fmt::format(
        "{}: is not the folder of a training run: there is no diagnostics.csv", run.string()));
  }
}

/// The diagnosis plot's script, with its correlations written anew. Empty for a run too short.
std::vector<fs::path> diagnosis_script(const fs::path& run) {
  const fs::path file = run / "diagnostics.csv";
  const Diagnostics diagnostics = read_diagnostics(file);
  if (diagnostics.is_cut) {
    fmt::print(stderr, "ebm_plot: warning: {}: line {} is cut short and left out\n", file.string(),
               diagnostics.d_s.size() + 2);
  }
  if (diagnostics.d_s.size() < 2) {
    fmt::print("{}: no diagnosis plot of fewer than two iterations\n", file.string());
    return {};
  }
  return {write_diagnosis(run, diagnostics.d_s, diagnostics.r_s)};
}

/// Landscapes and long runs come with their scripts.
std::vector<fs::path> scripts_there(const fs::path& run) {
  std::vector<fs::path> scripts;
  for (const char* folder : {"landscape", "longrun"}) {
    if (!fs::is_directory(run / folder)) continue;
    for (const auto& entry : fs::directory_iterator(run / folder)) {
      if (entry.path().extension() == ".gp") scripts.push_back(entry.path());
    }
  }
  std::sort(scripts.begin(), scripts.end());
  return scripts;
}

int plot(const fs::path& run, const std::optional<std::string>& style) {
  constexpr std::chrono::minutes kTimeout(2);
  require_run(run);
  if (style) {
    set_plot_style(run, *style);
  } else {
    write_plot_style(run);
  }
  std::vector<fs::path> scripts = diagnosis_script(run);
  const std::vector<fs::path> there = scripts_there(run);
  scripts.insert(scripts.end(), there.begin(), there.end());
  for (const fs::path& script : scripts) {
    if (const auto failure = draw_plot(script, std::chrono::steady_clock::now() + kTimeout)) {
      throw OutputError(*failure);
    }
    for (const char* extension : {".png", ".pdf"}) {
      fmt::print("{}\n", fs::path(script).replace_extension(extension).string());
    }
  }
  fmt::print("{}\n", write_report(run, {}, run / "report.html").string());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("ebm_plot", argv, [argc, argv] {
    fs::path run;
    std::optional<std::string> style;
    CLI::App app(
        "Draws the plots of a training run again, as PNG and PDF, from the files in its folder:\n"
        "the diagnosis plot, the landscapes of toy data and the long runs of images. Then writes\n"
        "report.html there, the run as one page that opens anywhere, with the evaluation that\n"
        "ebm_evaluate has left in RUN/evaluation, if it has. Lists what it drew and wrote. "
        "Scripts\n"
        "(.gp) that are there are used as they are, with the style that the run's plots.gp "
        "sets.\n\n"
        "  ebm_plot runs/gmm_convergent\n"
        "  ebm_plot runs/gmm_convergent --style paper.gp\n",
        "ebm_plot");
    app.set_version_flag("--version", version());
    app.add_option("run", run, "The folder that ebm_train wrote")->required()->option_text("RUN");
    add_style_option(app, style);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? 0 : 2;
    }
    return plot(run, style);
  });
}

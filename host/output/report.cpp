#include "host/output/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "cuda/base/atomic_file.h"
#include "cuda/base/errors.h"
#include "host/config/config.h"
#include "host/files/input_file.h"
#include "host/files/json_file.h"
#include "host/grouped.h"
#include "host/output/diagnostics_csv.h"
#include "host/output/html.h"
#include "host/output/report_evaluation.h"
#include "host/output/report_pictures.h"
#include "host/parse_number.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::size_t kMostBytes = 5'000'000;
constexpr std::size_t kMostInTime = 6;

bool is_file(const fs::path& path) {
  std::error_code none;
  return fs::is_regular_file(path, none);
}

/// "" of a file that is not there.
std::string text_of_file(const fs::path& path) {
  if (!is_file(path)) return "";
  InputFile file(path);
  std::string text(file.remaining(), '\0');
  file.read(std::as_writable_bytes(std::span(text)));
  return text;
}

/// null where there is no such file.
Json object_of_file(const fs::path& path) {
  return is_file(path) ? read_json_object(path) : Json();
}

/// What a key of an object says, where it says something.
std::optional<std::string> text_at(const Json& object, const char* key) {
  if (!object.is_object() || !object.contains(key)) return std::nullopt;
  const Json& value = object[key];
  if (value.is_string()) return value.get<std::string>();
  return value.is_number() ? std::optional(readable_number(value.get<double>())) : std::nullopt;
}

/// All that a page is made from but the pictures.
struct Material {
  fs::path run;         ///< empty of a network alone
  fs::path evaluation;  ///< the folder
  std::optional<TrainConfig> config{};
  std::string config_text{};
  std::vector<Json> processes{};  ///< environment.json, environment_2.json, …
  Json origin{};
  std::string log{};
  Diagnostics diagnostics{};
  std::map<std::int64_t, double> kl{};  ///< of landscapes, by iteration
  Json verdict{};                       ///< evaluation.json
};

/// KL(truth ‖ learned) of landscape.csv; the line that a run is just writing is left out.
std::map<std::int64_t, double> read_kl(const fs::path& file) {
  std::map<std::int64_t, double> kl;
  const std::string text = text_of_file(file);
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos;
       begin = end + 1) {
    const auto numbers =
        parse_numbers<double>(std::string_view(text).substr(begin, end - begin), ',');
    if (numbers && numbers->size() == 4) {
      kl[static_cast<std::int64_t>((*numbers)[0])] = (*numbers)[1];
    }
  }
  return kl;
}

Material gather(const fs::path& run, const fs::path& evaluation) {
  Material from{.run = run,
                .evaluation = evaluation.empty() && !run.empty() ? run / "evaluation" : evaluation};
  if (!from.evaluation.empty()) from.verdict = object_of_file(from.evaluation / "evaluation.json");
  if (run.empty()) return from;
  if (is_file(run / "config.yaml")) from.config = load_train_config(run / "config.yaml");
  from.config_text = text_of_file(run / "config.yaml");
  for (fs::path file = run / "environment.json"; is_file(file);
       file = run / fmt::format("environment_{}.json", from.processes.size() + 1)) {
    from.processes.push_back(read_json_object(file));
  }
  from.origin = object_of_file(run / "origin.json");
  from.log = text_of_file(run / "log.txt");
  if (is_file(run / "diagnostics.csv")) {
    from.diagnostics = read_diagnostics(run / "diagnostics.csv");
  }
  from.kl = read_kl(run / "landscape/landscape.csv");
  return from;
}

std::string data_of(const DataConfig& data) {
  std::string text(to_string(data.kind));
  if (data.is_toy()) {
    return text + fmt::format(": {} groups of standard deviation {}, radius {}", data.groups,
                              data.sd, data.radius);
  }
  return text + fmt::format(": {}×{}, {}, noise of standard deviation {}, from {}", data.image_size,
                            data.image_size, data.channels == 1 ? "grey" : "RGB", data.noise,
                            data.path);
}

std::string network_of(const NetworkConfig& network) {
  std::string text(to_string(network.kind));
  if (network.kind == NetworkKind::custom) return fmt::format("{} layers", network.layers.size());
  return network.kind == NetworkKind::toy ? text
                                          : text + fmt::format(", {} features", network.features);
}

std::string optimizer_of(const OptimizerConfig& optimizer) {
  std::string text = fmt::format("{}, rate {}", to_string(optimizer.kind), optimizer.lr);
  if (optimizer.lr_decay != 1) {
    text += fmt::format(", times {} an iteration down to {}", optimizer.lr_decay, optimizer.lr_min);
  }
  return text;
}

std::string langevin_of(const TrainConfig& config) {
  const LangevinConfig& langevin = config.langevin;
  std::string text = fmt::format("{} steps of ε = {}, {} chains", grouped(langevin.steps),
                                 langevin.epsilon, to_string(langevin.init));
  if (config.data.is_toy() && langevin.init == InitialStates::persistent) {
    text += fmt::format(", bank of {}", grouped(langevin.bank_size));
  }
  if (langevin.clamp) {
    text += fmt::format(", clamped to [{}, {}]", langevin.clamp->first, langevin.clamp->second);
  }
  return text;
}

using Rows = std::vector<std::vector<std::string>>;

Rows rows_of_config(const TrainConfig& config) {
  return {
      {"data", data_of(config.data)},
      {"network", network_of(config.network)},
      {"optimizer", optimizer_of(config.optimizer)},
      {"Langevin", langevin_of(config)},
      {"learning", fmt::format("{} iterations, batches of {}", grouped(config.train.iterations),
                               config.train.batch_size)},
      {"seed", std::to_string(config.seed)},
  };
}

/// "2026-01-31T12:00:00Z, on cpu (NAME), 4 threads, fp32".
std::string process_of(const Json& environment) {
  std::string text = text_at(environment, "started").value_or("at an unknown time");
  if (const auto device = text_at(environment, "device")) text += ", on " + *device;
  if (const auto processor = text_at(environment, "processor")) text += " (" + *processor + ")";
  if (const auto threads = text_at(environment, "threads")) {
    text += ", " + *threads + (*threads == "1" ? " thread" : " threads");
  }
  if (const auto precision = text_at(environment, "precision")) text += ", " + *precision;
  return text;
}

Rows rows_of_processes(const Material& from) {
  Rows rows;
  for (const Json& process : from.processes) {
    rows.push_back({rows.empty() ? "started" : "gone on with", process_of(process)});
  }
  if (!from.processes.empty()) {
    const Json& last = from.processes.back();
    rows.push_back({"version", "ebm " + text_at(last, "version").value_or("unknown") + " (" +
                                   text_at(last, "git_revision").value_or("unknown") + ")"});
  }
  if (const auto network = text_at(from.origin, "network")) {
    rows.push_back({"began with", *network + ", iteration " +
                                      text_at(from.origin, "iteration").value_or("unknown")});
  }
  return rows;
}

/// When a log begins and ends, and its last line.
Rows rows_of_log(std::string_view log) {
  constexpr std::size_t kDate = std::string_view("2026-01-31 12:00:00").size();
  while (log.ends_with('\n')) log.remove_suffix(1);
  if (log.empty()) return {};
  const std::string_view last = log.substr(log.rfind('\n') + 1);  // all of it without one
  return {{"log", fmt::format("from {} to {}", log.substr(0, kDate), last.substr(0, kDate))},
          {"its last line", std::string(last.substr(std::min(last.size(), kDate + 1)))}};
}

HtmlSection run_section(const Material& from) {
  HtmlSection section{.id = "run", .title = "The run", .html = ""};
  HtmlTable table{.caption = "What was run", .columns = {"what", "value"}, .rows = {}};
  if (from.config) table.rows = rows_of_config(*from.config);
  for (const Rows& rows : {rows_of_processes(from), rows_of_log(from.log)}) {
    table.rows.insert(table.rows.end(), rows.begin(), rows.end());
  }
  section.html = to_html(table);
  if (!from.config_text.empty()) {
    section.html += fmt::format(
        "<details><summary>The whole configuration (config.yaml)</summary>\n<div class=\"scroll\" "
        "tabindex=\"0\" role=\"group\" aria-label=\"The whole configuration\">"
        "<pre>{}</pre></div></details>\n",
        escape_html(from.config_text));
  }
  return section;
}

/// A record's last number, and mean and standard deviation of its last `count`.
std::vector<std::string> summary_of(const std::string& name, std::span<const double> record,
                                    std::size_t count) {
  const auto n = static_cast<double>(count);
  double mean = 0;
  for (const double value : record.last(count)) mean += value / n;
  double variance = 0;
  for (const double value : record.last(count)) variance += (value - mean) * (value - mean) / n;
  return {name, readable_number(record.back()), readable_number(mean),
          readable_number(std::sqrt(variance))};
}

std::string noise_of_a_step(const TrainConfig& config) {
  const int side = config.data.is_toy() ? 1 : config.data.image_size;
  const int dimensions = config.data.is_toy() ? 2 : side * side * config.data.channels;
  return fmt::format(": {} here", readable_number(config.langevin.epsilon * std::sqrt(dimensions)));
}

HtmlSection diagnosis_section(const Material& from, ReportPictures& pictures) {
  HtmlSection section{.id = "diagnosis", .title = "Diagnosis", .html = ""};
  const std::size_t iterations = from.diagnostics.d_s.size();
  if (iterations == 0) return section;
  const std::size_t last = std::min<std::size_t>(iterations, 1000);
  const auto said = [](std::size_t count) { return grouped(static_cast<std::int64_t>(count)); };
  section.html = fmt::format(
      "<p><strong>d_s</strong> is the mean energy of a data batch minus that of the chains: in a "
      "stable run it swings around 0 with both signs, and one that runs away from 0 means that "
      "learning has diverged. <strong>r_s</strong> is the mean norm of ∇f along the chains’ path, "
      "how far the gradient pulls a state in one step, to be compared with the noise of that step, "
      "about ε·√(dimensions){}. Both can look healthy while the energy is wrong.</p>\n",
      from.config ? noise_of_a_step(*from.config) : "");
  section.html +=
      to_html({.caption = fmt::format("After {} iterations", said(iterations)),
               .columns = {"record", "last", fmt::format("mean of the last {}", said(last)),
                           "their standard deviation"},
               .rows = {summary_of("d_s, nats", from.diagnostics.d_s, last),
                        summary_of("r_s", from.diagnostics.r_s, last)}});
  section.html += pictures.figure(
      from.run / "diagnosis.png", PictureKind::plot,
      {.caption = "Energy difference and gradient strength over the iterations; below, their "
                  "correlations in the last 2,000, where white noise stays within the grey band",
       .seen = "Two curves over the iterations, d_s and r_s, above three panels of correlations by "
               "lag: cross-correlation, auto-correlation and partial auto-correlation"});
  return section;
}

/// How many of what there is are shown.
std::string how_many(std::size_t shown, std::size_t all, std::string_view what) {
  if (shown == all) return "";
  return fmt::format(
      "<p class=\"quiet\">{} of {} {} are shown: {}. At most {} of a kind are, and as many as keep "
      "this page below 5 MB; all are in the run’s folder.</p>\n",
      shown, all, what, shown == 1 ? "the last" : "the first, the last, and some evenly between",
      kMostInTime);
}

HtmlSection landscape_section(const Material& from, ReportPictures& pictures) {
  HtmlSection section{.id = "landscapes", .title = "Landscapes", .html = ""};
  const fs::path folder = from.run / "landscape";
  std::string figures = pictures.figure(
      folder / "landscape.png", PictureKind::plot,
      {.caption = "Distances from the truth over the iterations",
       .seen = "Two panels over the iterations: KL(truth ‖ learned) in nats, and the L1 distances "
               "of the learned density and of short-run chains from the truth"});
  const std::vector<PictureInTime> all = pictures_in_time(folder, "landscape_");
  const std::vector<PictureInTime> chosen = pictures.choose(all);
  std::string in_time;
  for (const PictureInTime& landscape : chosen) {
    const auto kl = from.kl.find(landscape.iteration);
    const std::string caption = "Iteration " + grouped(landscape.iteration) +
                                (kl == from.kl.end() ? ""
                                                     : fmt::format(": KL(truth ‖ learned) {} nats",
                                                                   readable_number(kl->second)));
    in_time += pictures.figure(
        landscape.file, PictureKind::plot,
        {.caption = caption,
         .seen = "Three densities on the plane, the truth, that of the learned energy and that of "
                 "short-run chains, above their logarithms; red where one is above the truth’s "
                 "highest"});
  }
  if (figures.empty() && in_time.empty()) return section;
  section.html =
      "<p>Learning is convergent when the learned density, in the middle, matches the truth, on "
      "the "
      "left. Where only the short-run chains, on the right, do, it is not.</p>\n" +
      figures + how_many(chosen.size(), all.size(), "landscapes") + in_columns(in_time, 34);
  return section;
}

HtmlSection short_run_section(const Material& from, ReportPictures& pictures) {
  HtmlSection section{.id = "short-runs", .title = "Short runs", .html = ""};
  struct Series {
    const char* prefix;
    const char* heading;
    const char* seen;
  };
  for (const Series& series : {
           Series{"x_", "Chains after their short run", "the chains after their short run"},
           Series{"bank_", "The bank of persistent chains", "states of the bank"},
       }) {
    const std::vector<PictureInTime> all = pictures_in_time(from.run / "shortrun", series.prefix);
    const std::vector<PictureInTime> chosen = pictures.choose(all);
    std::string figures;
    for (const PictureInTime& grid : chosen) {
      figures += pictures.figure(grid.file, PictureKind::grid,
                                 {.caption = "Iteration " + grouped(grid.iteration),
                                  .seen = fmt::format("Grid of images, {}, in iteration {}",
                                                      series.seen, grouped(grid.iteration))});
    }
    if (figures.empty()) continue;
    section.html +=
        fmt::format("<h3>{}</h3>\n{}{}", series.heading,
                    how_many(chosen.size(), all.size(), "grids"), in_columns(figures, 20));
  }
  return section;
}

/// The iterations after which a long run left something.
std::vector<std::int64_t> long_runs(const fs::path& folder) {
  std::set<std::int64_t> iterations;
  for (const char* prefix : {"longrun_", "energy_", "gradient_"}) {
    for (const PictureInTime& picture : pictures_in_time(folder, prefix)) {
      iterations.insert(picture.iteration);
    }
  }
  return {iterations.begin(), iterations.end()};
}

HtmlSection long_run_section(const Material& from, ReportPictures& pictures) {
  HtmlSection section{.id = "long-runs", .title = "Long runs", .html = ""};
  const fs::path folder = from.run / "longrun";
  const std::vector<std::int64_t> all = long_runs(folder);
  if (all.empty()) return section;
  const std::vector<std::int64_t> chosen = pictures.choose(all);
  const std::string steps =
      from.config ? fmt::format("{} steps from {}", grouped(from.config->longrun.steps),
                                to_string(from.config->longrun.init))
                  : "many steps";
  section.html =
      "<p>Where learning is convergent, energy and gradient level off, and the images "
      "keep looking like data.</p>\n" +
      how_many(chosen.size(), all.size(), "long runs");
  for (const std::int64_t iteration : chosen) {
    const auto file = [&](const char* kind) {
      return folder / fmt::format("{}_{:06}.png", kind, iteration);
    };
    section.html += fmt::format("<h3>After iteration {}</h3>\n", grouped(iteration));
    section.html +=
        pictures.figure(file("longrun"), PictureKind::grid,
                        {.caption = "Chains after " + steps,
                         .seen = "Grid of images: the chains of the long run at its end"});
    const std::string curve =
        " along the chains’ steps: the mean over the chains, and a band from "
        "the 10% to the 90% quantile";
    section.html += in_columns(
        pictures.figure(file("energy"), PictureKind::plot,
                        {.caption = "Energy U along the chains", .seen = "The energy U" + curve}) +
            pictures.figure(file("gradient"), PictureKind::plot,
                            {.caption = "Gradient magnitude (ε²/2)‖∇U‖ along the chains",
                             .seen = "The gradient’s magnitude" + curve}),
        34);
  }
  return section;
}

std::string name_of(const Material& from) {
  if (from.config) return from.config->name;
  if (const auto name = text_at(from.verdict, "name")) return *name;
  if (from.run.empty()) return "Evaluation";
  const fs::path run = fs::absolute(from.run).lexically_normal();
  return (run.has_filename() ? run : run.parent_path()).filename().string();
}

std::string page_of(const Material& from, ReportPictures& pictures) {
  std::vector<HtmlSection> sections{verdict_section(from.verdict)};
  const std::string verdict = sections[0].title;
  if (!from.run.empty()) {
    sections.push_back(run_section(from));
    for (const auto& part :
         {diagnosis_section, landscape_section, short_run_section, long_run_section}) {
      sections.push_back(part(from, pictures));
    }
  }
  sections.push_back(evaluation_section(from.verdict, from.evaluation, pictures));
  const std::string name = name_of(from);
  return html_page(fmt::format("{}: {}", name, verdict), name, sections);
}

/// The page with as many pictures of those in time as fit; with one of each where none do.
std::string page_that_fits(const Material& from) {
  ReportPictures no_pictures(kMostInTime, 0);
  const std::size_t text = page_of(from, no_pictures).size();
  const std::size_t bytes = kMostBytes - std::min(text, kMostBytes);
  for (std::size_t most = kMostInTime;; --most) {
    ReportPictures pictures(most, bytes);
    std::string page = page_of(from, pictures);
    if (pictures.all_fit() || most == 1) return page;
  }
}

}  // namespace

fs::path write_report(const fs::path& run, const fs::path& evaluation, const fs::path& to) {
  std::error_code none;
  if (!run.empty() && !fs::is_directory(run, none)) {
    throw InputFileError(fmt::format("{}: there is no such folder of a run", run.string()));
  }
  const Material from = gather(run, evaluation);
  if (run.empty() && from.verdict.is_null()) {
    throw InputFileError(fmt::format("{}: there is no evaluation to report, and no run",
                                     (evaluation / "evaluation.json").string()));
  }
  write_file_atomically(to, page_that_fits(from));
  return to;
}

}  // namespace ebm

#include "host/output/report_evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

using Texts = std::pair<std::string_view, std::string_view>;

/// What keys are called on the page; others by their own words.
constexpr std::array kNames = std::to_array<Texts>({
    {"annealed", "by log Z of annealing"},
    {"bank", "bank of chains"},
    {"data", "chains from data"},
    {"noise", "chains from noise"},
    {"released", "chains from data, the walls taken away"},
    {"data_chains", "long chains from data"},
    {"noise_chains", "long chains from noise"},
    {"ess", "effective sample size of the weights"},
    {"ess_bulk", "bulk ESS"},
    {"ess_tail", "tail ESS"},
    {"forward_se", "standard error of forward"},
    {"frechet", "Fréchet distance"},
    {"gaussian", "a Gaussian with the data's moments, to compare"},
    {"held_out", "held-out data"},
    {"kl", "KL divergence"},
    {"left_box", "share of chains outside the box, the walls taken away"},
    {"lower", "lower end of the bracket"},
    {"mmd", "MMD"},
    {"mmd_error", "standard error of MMD"},
    {"nested_rhat", "nested R̂ of data against noise"},
    {"no_log_z", "why there is no log Z"},
    {"of", "of the quantity"},
    {"quadrature", "by quadrature on a grid"},
    {"reverse_se", "standard error of reverse"},
    {"rhat", "R̂"},
    {"short_run", "short-run chains"},
    {"test", "held-out data"},
    {"train", "training data"},
    {"upper", "upper end of the bracket"},
});

/// The sections that are known: their headings, and how to read them.
struct KnownSection {
  std::string_view key;
  std::string_view heading;
  std::string_view explanation;
};
constexpr std::array kSections = std::to_array<KnownSection>({
    {"log_z", "Normalizing constant",
     "log Z of exp(−U) on the support, by annealed importance sampling. Forward, from the base, is "
     "below log Z on average. Reverse, from long chains that started at data, is above it on "
     "average where these chains have the law of the model."},
    {"log_likelihood", "Likelihood",
     "The mean of log p(x) = −U(x) − log Z, between the values that both sides of log Z give."},
    {"mixing", "Mixing of long chains",
     "R̂, rank-normalized and split, is near 1 where chains cannot be told apart, and above 1.01 "
     "where they have not mixed. Effective sample sizes (ESS) say how many independent draws the "
     "chains are worth: of the bulk, and of the tails."},
    {"distances", "Samples against data",
     "Fréchet distance and MMD are small where samples are like data; the row of held-out data, "
     "where there is one, is what other data come to. Precision is the share of samples that look "
     "like data, recall the share of data that samples look like."},
    {"kl", "KL divergence", "KL(truth ‖ learned) of a toy density, in nats."},
    {"record", "The record",
     "How d_s and r_s swing in the last iterations. Where learning is stable, d_s has both signs "
     "about as often; correlations of white noise stay within the band with a chance of 95%."},
});

std::string name_of(std::string_view key) {
  const auto* const found = std::ranges::find(kNames, key, &Texts::first);
  std::string name(found == kNames.end() ? key : found->second);
  const bool is_symbol = name.starts_with("d_s") || name.starts_with("r_s");
  std::replace(name.begin() + (is_symbol ? 3 : 0), name.end(), '_', ' ');
  return name;
}

std::string text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_number()) return readable_number(value.get<double>());
  return value.is_null() ? "none" : fmt::format("{} values", value.size());
}

/// What a key of an object says; "" where it is missing.
std::string text_at(const Json& object, const char* key) {
  return object.contains(key) ? text_of(object[key]) : "";
}

bool is_row(const Json& value) {
  return value.is_object() && !value.empty() &&
         std::ranges::none_of(value, [](const Json& cell) { return cell.is_structured(); });
}

/// Objects of single values, as rows of one table.
std::string rows_table(const std::string& caption, const std::string& first_column,
                       const std::vector<std::pair<std::string, const Json*>>& objects) {
  std::vector<std::string> keys;
  for (const auto& [name, object] : objects) {
    for (const auto& cell : object->items()) {
      if (std::ranges::find(keys, cell.key()) == keys.end()) keys.push_back(cell.key());
    }
  }
  HtmlTable table{.caption = caption, .columns = {first_column}, .rows = {}};
  for (const std::string& key : keys) table.columns.push_back(name_of(key));
  for (const auto& [name, object] : objects) {
    std::vector<std::string> row{name};
    for (const std::string& key : keys) row.push_back(text_at(*object, key.c_str()));
    table.rows.push_back(std::move(row));
  }
  return to_html(table);
}

/// Everything of an object or a list, whatever it is: single values in one table, objects of such
/// as rows of another, and what is deeper in tables of its own.
std::string tables_of(const Json& value, const std::string& caption) {
  HtmlTable single{.caption = caption, .columns = {"what", "value"}, .rows = {}};
  bool has_values = false;
  std::vector<std::pair<std::string, const Json*>> rows;
  std::string deeper;
  bool rows_first = false;
  for (const auto& item : value.items()) {
    const Json& part = item.value();
    const std::string name = name_of(item.key());
    if (is_row(part)) {
      rows_first = rows_first || single.rows.empty();
      rows.emplace_back(name, &part);
    } else if (part.is_object() || (part.is_array() && !part.empty() && part[0].is_structured())) {
      deeper += tables_of(part, fmt::format("{}: {}", caption, name));
    } else {
      single.rows.push_back({name, text_of(part)});
      has_values = has_values || !part.is_null();
    }
  }
  if (!has_values && !rows.empty()) single.rows.clear();  // nulls in the place of objects
  if (rows_first) {
    const std::string table = rows_table(caption, "of", rows);
    single.caption += ": further";
    return table + to_html(single) + deeper;
  }
  const std::string rest = single.rows.empty() ? caption
                           : rows.size() == 1  ? fmt::format("{}: {}", caption, rows[0].first)
                                               : caption + ": parts";
  return to_html(single) + rows_table(rest, "of", rows) + deeper;
}

std::string with_mark(const std::string& holds) {
  if (holds == "yes") return "✓\u00a0yes";
  if (holds == "no") return "✗\u00a0no";
  return holds == "undecided" ? "?\u00a0undecided" : holds;
}

std::string criteria_of(const Json& criteria, const fs::path& file) {
  HtmlTable table{.caption = "Criteria of the verdict",
                  .columns = {"criterion", "value", "bound", "holds", "what it says"},
                  .rows = {}};
  for (const Json& criterion : criteria) {
    if (!criteria.is_array() || !criterion.is_object()) {
      throw InputFileError(
          fmt::format("{}: criteria: is not a list of objects {{name, value, bound, holds, says}}",
                      file.string()));
    }
    table.rows.push_back({name_of(text_at(criterion, "name")), text_at(criterion, "value"),
                          text_at(criterion, "bound"), with_mark(text_at(criterion, "holds")),
                          text_at(criterion, "says")});
  }
  return table.rows.empty() ? "" : "<h3>Criteria</h3>\n" + to_html(table);
}

std::string known_section(const KnownSection& section, Json value) {
  if (!value.is_structured()) return "";
  std::string heading(section.heading);
  if (value.is_object() && value.contains("unit")) {
    heading += ", in " + text_of(value["unit"]);
    value.erase("unit");
  }
  const std::string tables = tables_of(value, heading);
  return tables.empty() ? ""
                        : fmt::format("<h3>{}</h3>\n<p>{}</p>\n{}", escape_html(heading),
                                      section.explanation, tables);
}

/// The keys of evaluation.json that have no place of their own.
std::string other_sections(const Json& evaluation) {
  constexpr auto kShown = std::to_array<std::string_view>(
      {"name", "network", "iteration", "verdict", "why", "criteria"});
  Json others = Json::object();
  for (const auto& item : evaluation.items()) {
    if (std::ranges::find(kShown, item.key()) == kShown.end() &&
        std::ranges::find(kSections, item.key(), &KnownSection::key) == kSections.end()) {
      others[item.key()] = item.value();
    }
  }
  const std::string tables = tables_of(others, "Other numbers");
  return tables.empty() ? "" : "<h3>Other numbers</h3>\n" + tables;
}

struct KnownPlot {
  std::string_view stem;
  PictureKind kind;
  std::string_view caption;
  std::string_view seen;
};
constexpr std::array kPlots = std::to_array<KnownPlot>({
    {"energy_of_chains", PictureKind::plot, "Energy of long chains from each start",
     "Curves of the energy U along the steps of long chains, one for each start"},
    {"log_weights", PictureKind::plot, "log Z by single chains of annealing, forward and reverse",
     "Two rising curves: the share of annealed chains whose log Z is at most so much, forward and "
     "reverse, beside log Z's bracket"},
    {"x_short_run", PictureKind::grid, "Short-run chains",
     "Grid of images: chains after a short run"},
    {"x_data", PictureKind::grid, "Last states of chains from data",
     "Grid of images: the last states of long chains that started at data"},
    {"x_noise", PictureKind::grid, "Last states of chains from noise",
     "Grid of images: the last states of long chains that started at noise"},
    {"x_bank", PictureKind::grid, "Last states of chains from the bank",
     "Grid of images: the last states of long chains that started at the bank"},
    {"x_released", PictureKind::grid, "Last states of chains from data, the walls taken away",
     "Grid of images: the last states of long chains without the walls of the box"},
});

/// The folder's pictures: those that are known first, in their order, then the others by name.
std::string plots_of(const fs::path& folder, ReportPictures& pictures) {
  std::vector<std::pair<std::ptrdiff_t, fs::path>> files;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    if (entry.path().extension() != ".png") continue;
    const auto* const known =
        std::ranges::find(kPlots, entry.path().stem().string(), &KnownPlot::stem);
    files.emplace_back(known - kPlots.begin(), entry.path());
  }
  std::ranges::sort(files);
  std::string plots;
  std::string grids;
  for (const auto& [place, file] : files) {
    const auto at = static_cast<std::size_t>(place);
    if (at < kPlots.size()) {
      const KnownPlot& known = kPlots[at];
      (known.kind == PictureKind::plot ? plots : grids) +=
          pictures.figure(file, known.kind,
                          {.caption = std::string(known.caption), .seen = std::string(known.seen)});
    } else {
      const std::string name = file.stem().string();
      plots += pictures.figure(file, PictureKind::plot,
                               {.caption = name, .seen = "Picture of the evaluation: " + name});
    }
  }
  return plots.empty() && grids.empty()
             ? ""
             : "<h3>Plots</h3>\n" + in_columns(plots, 34) + in_columns(grids, 20);
}

std::string_view meaning_of(std::string_view verdict) {
  if (verdict == "convergent") {
    return "exp(−U) is a density whose samples look like data.";
  }
  if (verdict == "non-convergent") {
    return "the network makes samples by short runs only; the density exp(−U) is not that of the "
           "data.";
  }
  return verdict == "undecided" ? "the evidence is not enough to say which." : "";
}

}  // namespace

HtmlSection verdict_section(const Json& evaluation) {
  HtmlSection section{.id = "verdict", .title = "Verdict", .html = ""};
  if (!evaluation.is_object()) {
    section.html =
        "<p class=\"verdict undecided\"><strong>None yet.</strong> Nothing here was evaluated; "
        "<code>ebm_evaluate RUN</code> does it.</p>\n";
    return section;
  }
  const std::string verdict = text_at(evaluation, "verdict");
  const std::string_view meaning = meaning_of(verdict);
  section.title = "Verdict: " + verdict;
  section.html = fmt::format("<p class=\"verdict {}\"><strong>{}</strong>{}{}</p>\n",
                             meaning.empty() ? "undecided" : verdict, escape_html(verdict),
                             meaning.empty() ? "" : ": ", meaning);
  if (const std::string why = text_at(evaluation, "why"); !why.empty()) {
    section.html += fmt::format("<p>{}</p>\n", escape_html(why));
  }
  const std::string network = text_at(evaluation, "network");
  const std::string iteration = text_at(evaluation, "iteration");
  if (!network.empty() && network != "none") {
    section.html += fmt::format("<p class=\"quiet\">Evaluated: {}{}</p>\n", escape_html(network),
                                iteration.empty() || iteration == "none"
                                    ? ""
                                    : ", after iteration " + escape_html(iteration));
  }
  return section;
}

HtmlSection evaluation_section(const Json& evaluation, const fs::path& folder,
                               ReportPictures& pictures) {
  HtmlSection section{.id = "evaluation", .title = "Evaluation", .html = ""};
  if (!evaluation.is_object()) return section;
  if (evaluation.contains("criteria")) {
    section.html = criteria_of(evaluation["criteria"], folder / "evaluation.json");
  }
  for (const KnownSection& known : kSections) {
    if (evaluation.contains(known.key)) {
      section.html += known_section(known, evaluation[std::string(known.key)]);
    }
  }
  section.html += other_sections(evaluation) + plots_of(folder, pictures);
  return section;
}

}  // namespace ebm

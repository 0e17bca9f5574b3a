#include "host/training/run_outputs.h"

#include <fmt/format.h>

#include <algorithm>

#include "cuda/base/errors.h"
#include "cuda/base/posix_file.h"
#include "host/data/make_batches.h"
#include "host/output/diagnosis.h"
#include "host/output/png_grid.h"

namespace ebm {
namespace {

LandscapeSettings landscape_settings(const TrainConfig& config) {
  return {.truth = toy_density(config.data),
          .resolution = config.landscape.resolution,
          .epsilon = config.langevin.epsilon};
}

}  // namespace

RunOutputs::RunOutputs(const TrainConfig& config, const Shape& states, const RunFolder& folder,
                       RunLog& log)
    : folder_(folder),
      log_(log),
      shape_(states),
      config_(config),
      record_(folder),
      plots_([&log](const std::string& reason) { log.warn(reason); }),
      start_(std::chrono::steady_clock::now()) {
  if (config.data.is_toy() && config.landscape.every > 0) {
    landscape_.emplace(folder.landscape(), landscape_settings(config), plots_);
  }
}

void RunOutputs::go_back(std::int64_t iteration, int rollbacks) {
  record_.go_back(iteration, rollbacks);
  if (landscape_) {
    landscape_->go_back(iteration);
  }
  since_log_point_.clear();
  last_ = {};
  last_.iteration = iteration;
  progress_.emplace(config_, iteration);
  start_ = std::chrono::steady_clock::now();
  dashboard_.emplace(folder_.tensorboard(), iteration + 1, config_.langevin.steps);
}

void RunOutputs::add(const IterationResult& result) {
  const std::chrono::duration<double> elapsed = result.ended - start_;
  last_ = {{result.d_s, result.r_s, result.iteration.learning_rate, result.mean_f_data,
            result.mean_f_samples},
           result.iteration.number,
           elapsed.count(),
           last_.busy_seconds + result.seconds};
  record_.add(last_);
  progress_->add(last_);
  since_log_point_.push_back(last_);
  if (log_.is_live() && progress_->due()) {
    log_.live(progress_->line(false));
  }
}

void RunOutputs::write_log_point(bool plot) {
  record_.flush();
  if (since_log_point_.empty()) {
    return;
  }
  log_.info(progress_->line(true));
  dashboard_->add(since_log_point_);
  since_log_point_.clear();
  if (plot && record_.d_s().size() > 1) {
    plots_.draw(write_diagnosis(folder_.root(), record_.d_s(), record_.r_s()));
  }
}

void RunOutputs::finish() {
  plots_.finish();
  dashboard_->finish();
}

void RunOutputs::write_short_run(std::span<const float> chains, std::span<const float> bank) {
  std::string outside = fmt::format(
      "{} of the chains'", write_grid("shortrun/x", folder_.short_run(last_.iteration), chains));
  if (!bank.empty()) {
    outside += fmt::format(", {} of the bank's",
                           write_grid("shortrun/bank", folder_.bank(last_.iteration), bank));
  }
  log_.info("numbers outside [-1, 1]: " + outside);
}

bool RunOutputs::begin_long_run(int steps) {
  const std::filesystem::path folder = folder_.long_run_records();
  make_folder(folder);
  const auto open = [&](int kept) {
    long_run_.emplace(folder, last_.iteration, config_.train.batch_size, kept);
  };
  try {
    open(steps);
    return true;
  } catch (const InputFileError& error) {
    log_.warn(fmt::format("{}; the long run begins anew", error.what()));
    open(0);
    return false;
  }
}

void RunOutputs::add_long_run(int step, std::span<const float> energies,
                              std::span<const float> gradient_norms) {
  long_run_->add(energies, gradient_norms);
  if (log_.is_live() && progress_->due()) {
    log_.live(fmt::format("iteration {}: long-run chains, step {} of {}", last_.iteration, step,
                          config_.longrun.steps));
  }
}

void RunOutputs::write_long_run(std::span<const float> chains) {
  long_run_->draw(config_.name, plots_);
  long_run_.reset();
  const std::string outside =
      write_grid("longrun/longrun", folder_.long_run(last_.iteration), chains);
  log_.info(
      fmt::format("long-run chains of iteration {}: {} steps, {} of their numbers outside "
                  "[-1, 1]",
                  last_.iteration, config_.longrun.steps, outside));
}

std::string RunOutputs::write_grid(std::string_view tag, const std::filesystem::path& path,
                                   std::span<const float> states) {
  const std::size_t outside =
      write_png_grid(path, states, static_cast<int>(std::ssize(states) / shape_.size()),
                     shape_.channels, shape_.height, shape_.width);
  dashboard_->add_picture(last_.iteration, std::string(tag), path);
  return fmt::format("{:.2f}%",
                     100 * static_cast<double>(outside) / static_cast<double>(states.size()));
}

void RunOutputs::write_landscape(std::span<const float> f, const KernelDensity& chains) {
  const LandscapeSummary summary = landscape_->write(last_.iteration, f, chains);
  log_.info(
      fmt::format("landscape {}: KL(truth || learned) {:.3f} nats, L1 distance from the truth "
                  "{:.3f} learned, {:.3f} short-run",
                  last_.iteration, summary.kl_learned, summary.l1_learned, summary.l1_shortrun));
  dashboard_->add(last_.iteration, summary);
  dashboard_->add_picture(
      last_.iteration, "landscape/landscape",
      folder_.landscape() / fmt::format("landscape_{:06}.png", last_.iteration));
}

}  // namespace ebm

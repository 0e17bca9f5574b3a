#include "host/evaluation/log_partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <system_error>
#include <utility>

#include "cuda/base/errors.h"
#include "cuda/device/array.h"
#include "host/files/npy.h"
#include "host/training/progress.h"

namespace ebm {
namespace {

constexpr std::int64_t kManyChains = 1000;  // from so many on, more groups for standard errors
// Chains that choose the path: fewer of large states, whose U is near its mean anyway.
constexpr std::int64_t kMostPilots = 200;
constexpr std::int64_t kFewestPilots = 40;
constexpr std::int64_t kPilotValues = 40'000;
constexpr int kMoves = 10;  // rounds of moves between modes, each of a tenth of the path

bool is_there(const std::filesystem::path& file) {
  std::error_code none;
  return std::filesystem::exists(file, none);
}

}  // namespace

LogPartitionEstimate::LogPartitionEstimate(std::filesystem::path folder, Energy& energy,
                                           const BoxedEnergy& box, std::int64_t chains,
                                           std::int64_t steps, std::uint64_t seed,
                                           const StopRequest& stop, RunLog& log)
    : folder_(std::move(folder)),
      energy_(energy),
      box_(box),
      chains_(chains),
      steps_(steps),
      seed_(seed),
      stop_([&stop] { return stop().has_value(); }),
      log_(log) {}

const std::optional<AnnealingPath>& LogPartitionEstimate::path() {
  if (path_ || !failure_.empty()) {
    return path_;
  }
  const std::filesystem::path file = folder_ / "annealing_path.npy";
  const std::array<std::int64_t, 2> shape{steps_, 3};
  if (is_there(file)) {
    AnnealingPath path{.beta = {0}, .steps = {}};
    const std::vector<double> rows = read_npy_doubles(file, shape);
    for (std::size_t k = 0; k < rows.size(); k += 3) {
      path.beta.push_back(rows[k]);
      path.steps.push_back({.epsilon = static_cast<float>(rows[k + 1]),
                            .temperature = static_cast<float>(rows[k + 2])});
    }
    path_ = std::move(path);
    return path_;
  }
  const std::int64_t pilot_chains = std::min(
      chains_, std::clamp(kPilotValues / energy_.state_size(), kFewestPilots, kMostPilots));
  log_.info("choosing temperatures and step sizes between the box's uniform law and exp(-U)");
  try {
    path_ = choose_annealing_path(energy_, box_, pilot_chains, steps_, seed_, stop_);
  } catch (const Divergence& error) {
    failure_ = fmt::format("{}; evaluate.annealing_steps may be more", error.what());
    log_.warn(fmt::format("log Z is not estimated: {}", failure_));
    return path_;
  }
  std::vector<double> rows;
  for (std::size_t k = 0; k < path_->steps.size(); ++k) {
    rows.push_back(path_->beta[k + 1]);
    rows.push_back(static_cast<double>(path_->steps[k].epsilon));
    rows.push_back(static_cast<double>(path_->steps[k].temperature));
  }
  write_npy(file, shape, rows);
  return path_;
}

/// Those in the folder, or else what `make()` makes.
template <class Make>
std::vector<double> LogPartitionEstimate::weights(const std::string& direction, std::int64_t chains,
                                                  Make make) {
  const std::filesystem::path file = folder_ / fmt::format("log_weights_{}.npy", direction);
  const std::array<std::int64_t, 1> shape{chains};
  if (is_there(file)) {
    return read_npy_doubles(file, shape);
  }
  log_.info(fmt::format("annealing {}: {} chains over {} temperatures", direction, grouped(chains),
                        grouped(steps_)));
  std::vector<double> made = make();
  write_npy(file, shape, made);
  return made;
}

void LogPartitionEstimate::run(const float* states, std::int64_t count) {
  if (!path()) {
    return;
  }
  forward_ = weights("forward", chains_, [&] {
    return annealed_forward(energy_, box_, *path_, chains_, seed_, stop_);
  });
  const std::int64_t back = std::min(chains_, count);
  reverse_ = weights("reverse", back, [&] {
    const std::vector<float> from = moved_states(states, back);
    const Mirror<const float> there(energy_.queue(), from);
    return annealed_reverse(energy_, box_, *path_, there.data(), back, seed_, stop_);
  });
}

/// Those in the folder, or else the states after moves between modes.
std::vector<float> LogPartitionEstimate::moved_states(const float* states, std::int64_t count) {
  const std::filesystem::path file = folder_ / "states_moved.npy";
  const std::array<std::int64_t, 2> shape{count, energy_.state_size()};
  if (is_there(file)) {
    NpyArray moved = read_npy(file);
    if (!std::ranges::equal(moved.shape, shape)) {
      throw InputFileError(fmt::format("{}: does not hold {} states of {} values", file.string(),
                                       shape[0], shape[1]));
    }
    return std::move(moved.values);
  }
  Array<float> there(energy_.queue(), count * energy_.state_size());
  copy(energy_.queue(), states, there.size(), there.data());
  const double share = annealed_moves(energy_, box_, thinned(*path_, kMoves), kMoves, there.data(),
                                      count, seed_, stop_);
  log_.info(fmt::format("{:.1f}% of the proposed moves between modes were accepted", 100 * share));
  std::vector<float> here(there.size());
  copy(energy_.queue(), there.data(), here.size(), here.data());
  energy_.queue().wait();
  write_npy(file, shape, here);
  return here;
}

std::optional<LogPartition> LogPartitionEstimate::result() const {
  if (forward_.empty() || reverse_.empty()) {
    return std::nullopt;
  }
  const LogMeanBracket found = log_mean_bracket(
      forward_, reverse_, std::min(forward_.size(), reverse_.size()) >= kManyChains ? 50 : 20);
  const double volume = log_volume();
  return LogPartition{.forward = volume + found.forward,
                      .forward_se = found.forward_error,
                      .reverse = volume + found.reverse,
                      .reverse_se = found.reverse_error,
                      .ess = found.effective_size,
                      .lower = volume + found.lower(),
                      .upper = volume + found.upper()};
}

std::vector<double> LogPartitionEstimate::forward_estimates() const {
  std::vector<double> estimates = forward_;
  std::ranges::for_each(estimates, [volume = log_volume()](double& w) { w = volume + w; });
  return estimates;
}

std::vector<double> LogPartitionEstimate::reverse_estimates() const {
  std::vector<double> estimates = reverse_;
  std::ranges::for_each(estimates, [volume = log_volume()](double& w) { w = volume - w; });
  return estimates;
}

/// log Z of the uniform law's U = 0.
double LogPartitionEstimate::log_volume() const {
  return static_cast<double>(energy_.state_size()) *
         std::log(static_cast<double>(box_.high) - static_cast<double>(box_.low));
}

}  // namespace ebm

#include "cuda/learning/cuda_learner.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cuda/device/device_buffer.h"
#include "cuda/device/profile_range.h"
#include "cuda/kernels/gaussian_kde.h"
#include "cuda/kernels/largest.cuh"
#include "cuda/kernels/optimizer.cuh"
#include "cuda/kernels/random_states.cuh"
#include "cuda/kernels/rows.cuh"
#include "cuda/learning/energy_difference.h"
#include "cuda/learning/iteration_record.cuh"
#include "cuda/nn/cuda_context.h"
#include "cuda/nn/cuda_energy.h"
#include "cuda/nn/device_network.h"

namespace ebm {
namespace {

using Clock = std::chrono::steady_clock;

/// Records that the device keeps before they are read back.
constexpr std::size_t kRecords = 512;
/// And the seconds after which they are.
constexpr double kSecondsBetweenReads = 1;
/// Values moved in one slice of sampling, between two looks at whether to stop: tens of
/// milliseconds of a published ConvNet's steps, and more than the toy's 500.
constexpr std::int64_t kValuesAtOnce = std::int64_t{1} << 25;
/// Slices that the host enqueues ahead of the device.
constexpr std::size_t kSlicesAhead = 8;

/// Training data on the device while the stream is there that they were copied by.
class DataOnDevice {
 public:
  DataOnDevice(DataBatches& data, const CudaStream& stream, std::int64_t most) : data_(data) {
    data_.move_to_device(stream, most);
  }
  ~DataOnDevice() { data_.leave_device(); }
  DataOnDevice(const DataOnDevice&) = delete;
  DataOnDevice& operator=(const DataOnDevice&) = delete;

 private:
  DataBatches& data_;
};

class CudaLearner final : public Learner {
 public:
  CudaLearner(const Network& network, const LearnerSettings& settings, DataBatches& data,
              const CudaLearning& learning);

  void begin(LearnerState& state, std::uint64_t seed) override;
  bool iterate(const Iteration& iteration, const std::function<bool()>& give_up) override;
  std::span<const IterationResult> results(bool all) override;
  void synchronize() override;
  std::span<const float> chains() const override { return host_chains_.span(); }
  Energy& energy() override { return *host_energy_; }
  KernelDensity density(std::span<const float> states, double bandwidth,
                        std::span<const float> axis) override {
    return gaussian_kde(stream_, states, bandwidth, axis);
  }
  void profile(bool on) override {
    stream_.wait();
    set_profiling(on);
  }

 private:
  DeviceBuffer<float> floats(std::int64_t count) const {
    return {stream_, static_cast<std::size_t>(count)};
  }
  void draw_starts(std::uint32_t t);
  bool sample(std::uint32_t t, const std::function<bool()>& give_up);
  void compare_energies(IterationRecord* record);
  void step_weights(double rate, IterationRecord* record);
  LearningAlarm alarm() { return {stopped_.data(), heard_.data()}; }
  bool has_heard_alarm() { return *static_cast<volatile std::uint32_t*>(heard_.data()) != 0; }

  LearnerSettings settings_;
  DataBatches& data_;
  std::int64_t state_size_;
  double factor_;
  std::shared_ptr<CudaContext> context_;
  const CudaStream& stream_;
  DataOnDevice data_on_device_;
  std::shared_ptr<DeviceEnergy> energy_;
  std::unique_ptr<Energy> host_energy_;

  LearnerState* state_ = nullptr;
  std::uint64_t seed_ = 0;
  std::int64_t optimizer_steps_ = 0;
  Buffer<float> host_chains_;

  DeviceBuffer<float> theta_;
  DeviceBuffer<float> first_moments_;
  DeviceBuffer<float> second_moments_;
  DeviceBuffer<float> bank_;
  DeviceBuffer<std::uint32_t> bank_rows_;  // that the chains started from
  DeviceBuffer<float> batch_;              // X⁺
  DeviceBuffer<float> chains_;             // X⁻
  DeviceBuffer<float> norm_sums_;
  DeviceBuffer<float> data_f_;
  DeviceBuffer<float> chain_f_;
  DeviceBuffer<float> gradient_;
  DeviceBuffer<float> chain_gradient_;
  DeviceBuffer<float> largest_weight_;
  DeviceLargestSize largest_size_;

  DeviceBuffer<IterationRecord> records_;  // of iterations begun, in turn
  PinnedBuffer<IterationRecord> read_back_;
  std::size_t next_record_ = 0;
  std::deque<Iteration> unread_;
  Clock::time_point last_read_ = Clock::now();
  std::vector<IterationResult> results_;
  DeviceBuffer<std::uint32_t> stopped_;
  PinnedBuffer<std::uint32_t> heard_;

  std::array<CudaEvent, kSlicesAhead> slices_;
  std::size_t slice_ = 0;
};

CudaLearner::CudaLearner(const Network& network, const LearnerSettings& settings, DataBatches& data,
                         const CudaLearning& learning)
    : settings_(settings),
      data_(data),
      state_size_(network.input().size()),
      factor_(energy_factor(settings.epsilon)),
      context_(std::make_shared<CudaContext>(learning.precision, learning.plan_cache)),
      stream_(context_->stream()),
      data_on_device_(data, stream_, settings.batch_size),
      energy_(make_device_energy(*context_, network, settings.batch_size)),
      host_energy_(make_host_energy(context_, energy_, network)),
      host_chains_(static_cast<std::size_t>(settings.batch_size * state_size_)),
      theta_(floats(network.parameter_count())),
      bank_rows_(stream_, static_cast<std::size_t>(settings.batch_size)),
      batch_(floats(settings.batch_size * state_size_)),
      chains_(floats(settings.batch_size * state_size_)),
      norm_sums_(floats(settings.batch_size)),
      data_f_(floats(settings.batch_size)),
      chain_f_(floats(settings.batch_size)),
      gradient_(floats(network.parameter_count())),
      chain_gradient_(floats(network.parameter_count())),
      largest_weight_(floats(1)),
      largest_size_(stream_, network.parameter_count()),
      records_(stream_, kRecords),
      read_back_(kRecords),
      stopped_(stream_, 1),
      heard_(1) {
  results_.reserve(kRecords);
}

void CudaLearner::begin(LearnerState& state, std::uint64_t seed) {
  stream_.wait();
  state_ = &state;
  seed_ = seed;
  data_.reseed(seed);
  if (state.bank) {
    state.bank->reseed(seed);
    if (bank_.size() == 0) {
      bank_ = DeviceBuffer<float>(stream_, state.bank->states().size());
    }
    bank_.upload(stream_, std::as_const(*state.bank).states());
  }
  const Optimizer& optimizer = state.optimizer;
  optimizer_steps_ = optimizer.steps();
  if (first_moments_.size() != optimizer.first_moments().size()) {
    first_moments_ = DeviceBuffer<float>(stream_, optimizer.first_moments().size());
    second_moments_ = DeviceBuffer<float>(stream_, optimizer.second_moments().size());
  }
  first_moments_.upload(stream_, optimizer.first_moments());
  second_moments_.upload(stream_, optimizer.second_moments());
  theta_.upload(stream_, state.theta.span());
  energy_->set_parameters(theta_.data());
  stopped_ = DeviceBuffer<std::uint32_t>(stream_, 1);
  stream_.wait();
  heard_.data()[0] = 0;
  unread_.clear();
  last_read_ = Clock::now();
}

/// Steps are named as in Algorithm 1, for a profiler to show.
bool CudaLearner::iterate(const Iteration& iteration, const std::function<bool()>& give_up) {
  const ProfileRange range("iteration");
  const auto t = static_cast<std::uint32_t>(iteration.number);
  {
    const ProfileRange step("1 data batch");
    data_.draw(stream_, DataUse::batch, t, settings_.batch_size, batch_.data());
  }
  {
    const ProfileRange step("2 initial states");
    draw_starts(t);
  }
  {
    const ProfileRange step("3 Langevin steps");
    if (!sample(t, give_up)) {
      stream_.wait();
      return false;
    }
  }
  if (unread_.size() == kRecords) {
    throw std::logic_error("CudaLearner: results() must be called after every iterate()");
  }
  IterationRecord* const record = records_.data() + next_record_;
  next_record_ = (next_record_ + 1) % kRecords;
  unread_.push_back(iteration);
  compare_energies(record);
  step_weights(iteration.optimizer_rate, record);
  return true;
}

void CudaLearner::draw_starts(std::uint32_t t) {
  const std::int64_t count = settings_.batch_size;
  switch (settings_.init) {
    case InitialStates::persistent:
      draw_rows(stream_, {seed_, Purpose::bank_rows, t},
                static_cast<std::uint32_t>(state_->bank->rows()), count, bank_rows_.data());
      gather_rows(stream_, bank_.data(), bank_rows_.data(), count, state_size_, chains_.data());
      break;
    case InitialStates::data:
      data_.draw(stream_, DataUse::initial_states, t, count, chains_.data());
      break;
    case InitialStates::uniform:
      fill_uniform(stream_, {seed_, states_purpose(DataUse::initial_states), t},
                   settings_.noise_factor, count, state_size_, chains_.data());
      break;
    case InitialStates::gaussian:
      fill_normal(stream_, {seed_, states_purpose(DataUse::initial_states), t},
                  settings_.noise_factor, count, state_size_, chains_.data());
      break;
  }
}

/// All Langevin steps, in slices. Returns false when they were given up.
bool CudaLearner::sample(std::uint32_t t, const std::function<bool()>& give_up) {
  EBM_CHECK_CUDA(
      cudaMemsetAsync(norm_sums_.data(), 0, norm_sums_.size() * sizeof(float), stream_.get()));
  LangevinSteps run{
      .update = {.epsilon = settings_.epsilon, .noise = {seed_, Purpose::langevin, t}}};
  if (settings_.clamp) {
    run.update.lowest = settings_.clamp->first;
    run.update.highest = settings_.clamp->second;
  }
  const int at_once = sampling_slice(settings_.batch_size * state_size_, settings_.steps);
  for (int done = 0; done < settings_.steps; done += at_once) {
    slices_[slice_].wait();  // of kSlicesAhead before this one: work is always left to the device
    if (give_up()) {
      return false;
    }
    run.update.step = static_cast<std::uint32_t>(done);
    run.steps = std::min(at_once, settings_.steps - done);
    energy_->langevin(run, 0, settings_.batch_size, chains_.data(), norm_sums_.data());
    stream_.record(slices_[slice_]);
    slice_ = (slice_ + 1) % kSlicesAhead;
  }
  return true;
}

/// d_s with its gradient, r_s, and whether they are within the limits.
void CudaLearner::compare_energies(IterationRecord* record) {
  const ProfileRange step("5 energy difference");
  const std::int64_t batch = settings_.batch_size;
  const auto scale = static_cast<float>(factor_ / static_cast<double>(batch));
  energy_->weight_gradient(batch_.data(), batch, scale, data_f_.data(), gradient_.data());
  energy_->weight_gradient(chains_.data(), batch, scale, chain_f_.data(), chain_gradient_.data());
  subtract(stream_, static_cast<std::int64_t>(gradient_.size()), chain_gradient_.data(),
           gradient_.data());
  record_iteration(stream_,
                   {.factor = factor_,
                    .batch = batch,
                    .steps = settings_.steps,
                    .data_f = data_f_.data(),
                    .chain_f = chain_f_.data(),
                    .norm_sums = norm_sums_.data()},
                   settings_.limits, alarm(), record);
}

/// θ's step and the bank's, unless the alarm has sounded.
void CudaLearner::step_weights(double rate, IterationRecord* record) {
  const ProfileRange step("5 optimizer step, 4 bank");
  const auto parameters = static_cast<std::int64_t>(theta_.size());
  ++optimizer_steps_;
  if (first_moments_.size() == 0) {
    sgd_step(stream_, {static_cast<float>(rate)}, parameters, gradient_.data(), theta_.data(),
             stopped_.data());
  } else {
    adam_step(stream_, AdamStep::at(rate, optimizer_steps_), parameters, gradient_.data(),
              theta_.data(), first_moments_.data(), second_moments_.data(), stopped_.data());
  }
  largest_size_(theta_.data(), largest_weight_.data());
  record_weights(stream_, largest_weight_.data(), settings_.limits, alarm(), record);
  if (settings_.init == InitialStates::persistent) {
    scatter_rows(stream_, chains_.data(), bank_rows_.data(), settings_.batch_size, state_size_,
                 bank_.data(), stopped_.data());
  }
  energy_->set_parameters(theta_.data());
}

std::span<const IterationResult> CudaLearner::results(bool all) {
  results_.clear();
  const std::chrono::duration<double> since = Clock::now() - last_read_;
  if (unread_.empty() || (!all && !has_heard_alarm() && unread_.size() < kRecords / 2 &&
                          since.count() < kSecondsBetweenReads)) {
    return {};
  }
  records_.download(stream_, read_back_.span());
  stream_.wait();
  const auto now = Clock::now();
  const double seconds =
      std::chrono::duration<double>(now - last_read_).count() / static_cast<double>(unread_.size());
  last_read_ = now;
  std::size_t at = (next_record_ + kRecords - unread_.size()) % kRecords;
  for (const Iteration& iteration : unread_) {
    const IterationRecord& record = read_back_.data()[at];
    results_.push_back({.iteration = iteration,
                        .d_s = record.d_s,
                        .r_s = record.r_s,
                        .largest_energy = record.largest_energy,
                        .largest_weight = record.largest_weight,
                        .fault = record.fault,
                        .seconds = seconds});
    if (record.fault != Fault::none) {
      break;
    }
    at = (at + 1) % kRecords;
  }
  unread_.clear();
  return results_;
}

void CudaLearner::synchronize() {
  chains_.download(stream_, host_chains_.span());
  theta_.download(stream_, state_->theta.span());
  if (state_->bank) {
    bank_.download(stream_, state_->bank->states());
  }
  Buffer<float> first(first_moments_.size());
  Buffer<float> second(second_moments_.size());
  first_moments_.download(stream_, first.span());
  second_moments_.download(stream_, second.span());
  stream_.wait();
  state_->optimizer.restore(optimizer_steps_, first.span(), second.span());
}

}  // namespace

int sampling_slice(std::int64_t values, int steps) {
  const std::int64_t most = std::max<std::int64_t>(kValuesAtOnce / values, 1);
  return most >= steps ? std::max(steps, 1) : steps_in_whole_graphs(static_cast<int>(most));
}

std::unique_ptr<Learner> make_cuda_learner(const Network& network, const LearnerSettings& settings,
                                           DataBatches& data, const CudaLearning& learning) {
  return std::make_unique<CudaLearner>(network, settings, data, learning);
}

std::size_t cuda_learner_bytes(const Network& network, const LearnerSettings& settings, bool adam,
                               std::int64_t data_values, std::int64_t bank_rows,
                               Precision precision) {
  const std::int64_t state = network.input().size();
  const std::int64_t values = data_values + bank_rows * state +
                              settings.batch_size * (2 * state + 4) +
                              network.parameter_count() * (5 + (adam ? 2 : 0));
  return static_cast<std::size_t>(values) * sizeof(float) + kRecords * sizeof(IterationRecord) +
         device_energy_bytes(network, settings.batch_size, precision);
}

}  // namespace ebm

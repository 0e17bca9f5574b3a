#include "cuda/nn/cpu/cpu_features.h"

#include <omp.h>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <limits>
#include <vector>

#include "cuda/nn/cpu/cpu_network.h"
#include "cuda/nn/cpu/one_thread.h"

namespace ebm {
namespace {

constexpr int kStatesPerTile = 4;

class CpuFeatures final : public Features {
 public:
  explicit CpuFeatures(const Network& network) {
    const int threads = omp_get_max_threads();
    const OneThread one_thread;
    layers_ = std::make_shared<CpuNetwork>(network, CpuTile{.chains = kStatesPerTile});
    for (int thread = 0; thread < threads; ++thread) {
      tiles_.push_back(CpuNetwork::make_tile(layers_));
    }
  }

  const Queue& queue() const override { return queue_; }
  std::int64_t state_size() const override { return tiles_.front()->state_size(); }
  std::int64_t size() const override { return tiles_.front()->feature_size(); }
  std::int64_t capacity() const override { return std::numeric_limits<std::int64_t>::max(); }

  void set_parameters(const float* theta) override {
    const OneThread one_thread;
    layers_->set_parameters(theta);
  }

  void compute(const float* states, std::int64_t count, float* features) override {
    std::exception_ptr failure;
#pragma omp parallel num_threads(static_cast <int>(tiles_.size()))
    {
      omp_set_num_threads(1);  // what a tile calls runs on this thread alone
      FeatureTile& mine = *tiles_[static_cast<std::size_t>(omp_get_thread_num())];
#pragma omp for schedule(dynamic)
      for (std::int64_t first = 0; first < count; first += kStatesPerTile) {
        const std::int64_t some = std::min<std::int64_t>(kStatesPerTile, count - first);
        try {
          mine.features(states + first * state_size(), static_cast<int>(some),
                        features + first * size());
        } catch (...) {
#pragma omp critical
          failure = std::current_exception();
        }
      }
    }
    if (failure) {
      std::rethrow_exception(failure);
    }
  }

 private:
  Queue queue_;  // the CPU's
  std::shared_ptr<CpuNetwork> layers_;
  std::vector<std::unique_ptr<FeatureTile>> tiles_;  // one a thread
};

}  // namespace

std::unique_ptr<Features> make_cpu_features(const Network& network) {
  return std::make_unique<CpuFeatures>(network);
}

}  // namespace ebm

#include "cuda/nn/cpu/cpu_network.h"

#include <algorithm>
#include <utility>

#include "cuda/base/buffer.h"

namespace ebm {

CpuNetwork::CpuNetwork(const Network& network, const CpuTile& tile)
    : input_(network.input()), tile_(tile), lowered_(lower(network, Executor::cpu)) {
  for (const Operation& operation : lowered_.operations) {
    plans_.push_back(operation.type->plan_for_cpu(operation, tile));
  }
}

void CpuNetwork::set_parameters(const float* theta) {
  for (const auto& plan : plans_) {
    plan->set_parameters(theta);
  }
}

/// One thread's tile: values kept for the backward pass, gradient arrays used again and again.
class CpuNetworkTile final : public FeatureTile {
 public:
  explicit CpuNetworkTile(std::shared_ptr<const CpuNetwork> shared);

  int capacity() const override { return shared_->tile_.chains; }
  std::int64_t state_size() const override { return shared_->input_.size(); }
  void energies(const float* states, int chains, float* f) override;
  void energies_and_gradients(const float* states, int chains, float* f, float* gradients) override;
  void weight_gradient(const float* states, int chains, float scale, float* f,
                       float* gradient) override;
  std::int64_t gradient_values() const override { return gradient_values_; }
  std::int64_t feature_size() const override { return head().in.size(); }
  void features(const float* states, int chains, float* to) override;
  void add_in_order_of_parameters(float* gradient, float* theta_gradient) override;

 private:
  const Operation& head() const { return shared_->lowered_.operations.back(); }
  /// Calls visit(operation, its part of a gradient of the tile's) from the last to the first.
  template <class Visit>
  void for_each_part(float* gradient, const Visit& visit);

  std::shared_ptr<const CpuNetwork> shared_;
  NetworkEnds ends_;
  std::vector<Buffer<float>> values_;
  std::vector<Buffer<float>> gradients_;
  Buffer<float> scratch_;
  std::vector<std::unique_ptr<CpuOperation>> operations_;
  std::int64_t gradient_values_ = 0;
};

CpuNetworkTile::CpuNetworkTile(std::shared_ptr<const CpuNetwork> shared)
    : shared_(std::move(shared)) {
  const auto of_tile = [this](std::int64_t size) {
    return Buffer<float>(static_cast<std::size_t>(capacity() * size));
  };
  const LoweredNetwork& lowered = shared_->lowered_;
  std::ranges::transform(lowered.values, std::back_inserter(values_), of_tile);
  std::ranges::transform(lowered.gradients, std::back_inserter(gradients_), of_tile);
  std::int64_t scratch = 0;
  for (const auto& plan : shared_->plans_) {
    scratch = std::max(scratch, plan->scratch_values());
  }
  scratch_ = Buffer<float>(static_cast<std::size_t>(scratch));
  for (std::size_t i = 0; i < shared_->plans_.size(); ++i) {
    operations_.push_back(shared_->plans_[i]->bind(
        {memory_of<float>(lowered.operations[i].memory, ends_, values_, gradients_),
         scratch_.data()}));
    gradient_values_ += operations_.back()->gradient_values();
  }
}

template <class Visit>
void CpuNetworkTile::for_each_part(float* gradient, const Visit& visit) {
  float* part = gradient + gradient_values_;
  for (std::size_t i = operations_.size(); i-- > 0;) {
    part -= operations_[i]->gradient_values();
    visit(i, part);
  }
}

void CpuNetworkTile::energies(const float* states, int chains, float* f) {
  ends_ = {.states = states, .f = f, .live = chains};
  for (const auto& operation : operations_) {
    operation->forward();
  }
}

void CpuNetworkTile::features(const float* states, int chains, float* to) {
  ends_ = {.states = states, .live = chains};
  std::for_each(operations_.begin(), operations_.end() - 1,
                [](const auto& operation) { operation->forward(); });
  std::copy_n(values_[static_cast<std::size_t>(head().memory.x)].data(), chains * feature_size(),
              to);
}

void CpuNetworkTile::energies_and_gradients(const float* states, int chains, float* f,
                                            float* gradients) {
  energies(states, chains, f);
  ends_.gradients = gradients;
  std::for_each(operations_.rbegin(), operations_.rend(),
                [](const auto& operation) { operation->backward(); });
}

void CpuNetworkTile::weight_gradient(const float* states, int chains, float scale, float* f,
                                     float* gradient) {
  energies(states, chains, f);
  ends_.df = scale;
  for_each_part(gradient, [this](std::size_t i, float* part) {
    if (i > 0) {
      operations_[i]->backward();
    }
    operations_[i]->weight_gradient(part);
  });
}

void CpuNetworkTile::add_in_order_of_parameters(float* gradient, float* theta_gradient) {
  for_each_part(gradient, [&](std::size_t i, float* part) {
    operations_[i]->add_gradient(part, theta_gradient);
  });
}

std::unique_ptr<FeatureTile> CpuNetwork::make_tile(std::shared_ptr<const CpuNetwork> shared) {
  return std::make_unique<CpuNetworkTile>(std::move(shared));
}

}  // namespace ebm

#include "cuda/kernels/mala.cuh"

#include "cuda/device/launch.cuh"

namespace ebm {
namespace {

/// Sums of a block are float; of blocks, double: thousands of components lose nothing that matters.
constexpr std::int64_t kBlock = 64;

struct ProposeBody {
  MalaUpdate update;
  std::uint32_t first_chain;
  std::int64_t size;
  const float* given_momenta;
  MalaChains tile;
  float* gradient_norms;

  EBM_HOST_DEVICE void operator()(std::int64_t c) const {
    const float* gradient = tile.gradients + c * size;
    float* p = tile.momenta + c * size;
    float* proposal = tile.proposals + c * size;
    draw(c, p);
    double squares = 0;
    for (std::int64_t begin = 0; begin < size; begin += kBlock) {
      const std::int64_t end = begin + kBlock < size ? begin + kBlock : size;
      float block = 0;
      for (std::int64_t i = begin; i < end; ++i) {
        block += gradient[i] * gradient[i];
        proposal[i] = update.propose(tile.states[c * size + i], gradient[i], p[i]);
      }
      squares += static_cast<double>(block);
    }
    gradient_norms[c] = static_cast<float>(sqrt(squares));
  }

  EBM_HOST_DEVICE void draw(std::int64_t c, float* p) const {
    for (std::int64_t begin = 0; begin < size; begin += 4) {
      Floats4 four{};
      if (given_momenta == nullptr) {
        four = update.momentum_of(first_chain + static_cast<std::uint32_t>(c),
                                  static_cast<std::uint32_t>(begin / 4));
      }
      for (std::int64_t k = 0; k < 4 && begin + k < size; ++k) {
        p[begin + k] = given_momenta == nullptr ? four.v[k] : given_momenta[c * size + begin + k];
      }
    }
  }
};

struct DecideBody {
  MalaUpdate update;
  std::uint32_t first_chain;
  std::int64_t size;
  const float* given_uniforms;
  MalaChains tile;
  float* accepted;

  EBM_HOST_DEVICE void operator()(std::int64_t c) const {
    float* gradient = tile.gradients + c * size;
    const float* proposal_gradient = tile.proposal_gradients + c * size;
    const float* p = tile.momenta + c * size;
    double kinetic_loss = 0;
    for (std::int64_t begin = 0; begin < size; begin += kBlock) {
      const std::int64_t end = begin + kBlock < size ? begin + kBlock : size;
      float block = 0;
      for (std::int64_t i = begin; i < end; ++i) {
        block += update.kinetic_loss(gradient[i], proposal_gradient[i], p[i]);
      }
      kinetic_loss += static_cast<double>(block);
    }
    const double log_ratio = update.log_ratio(tile.f[c], tile.proposal_f[c], kinetic_loss);
    tile.log_ratios[c] = static_cast<float>(log_ratio);
    const float u = given_uniforms == nullptr
                        ? update.uniform_of(first_chain + static_cast<std::uint32_t>(c))
                        : given_uniforms[c];
    const bool moves = MalaUpdate::accepts(log_ratio, u);
    accepted[c] = moves ? 1.0F : 0.0F;
    if (moves) {
      tile.f[c] = tile.proposal_f[c];
      for (std::int64_t i = 0; i < size; ++i) {
        tile.states[c * size + i] = tile.proposals[c * size + i];
        gradient[i] = proposal_gradient[i];
      }
    }
  }
};

}  // namespace

void mala_propose(const MalaUpdate& update, std::uint32_t first_chain, int chains,
                  std::int64_t state_size, const float* given_momenta, const MalaChains& tile,
                  float* gradient_norms) {
  for_each_row(chains, state_size,
               ProposeBody{update, first_chain, state_size, given_momenta, tile, gradient_norms});
}

void mala_decide(const MalaUpdate& update, std::uint32_t first_chain, int chains,
                 std::int64_t state_size, const float* given_uniforms, const MalaChains& tile,
                 float* accepted) {
  for_each_row(chains, state_size,
               DecideBody{update, first_chain, state_size, given_uniforms, tile, accepted});
}

EBM_INSTANTIATE_FOR_DEVICE(ProposeBody)
EBM_INSTANTIATE_FOR_DEVICE(DecideBody)

}  // namespace ebm

#include "cuda/kernels/mala.cuh"

#include "cuda/device/launch.cuh"
#ifdef __CUDACC__
#include "cuda/device/block_reduce.cuh"
#endif

namespace ebm {
namespace {

/// Sums of a block are float; of blocks, double: thousands of components lose nothing that matters.
constexpr std::int64_t kBlock = 64;

struct ProposeBody {
  MalaUpdate update;
  std::uint32_t first_chain;
  std::int64_t size;
  const float* given_momenta;
  ChainMemory tile;
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
        proposal[i] = update.propose(tile.states[c * size + i], gradient[i], p[i]).x;
      }
      squares += static_cast<double>(block);
    }
    gradient_norms[c] = static_cast<float>(sqrt(squares));
  }

  EBM_HOST_DEVICE void draw(std::int64_t c, float* p) const {
    for (std::int64_t group = 0; 4 * group < size; ++group) {
      draw_group(c, group, p);
    }
  }

  /// Components 4·group … 4·group+3 of chain c's momentum p.
  EBM_HOST_DEVICE void draw_group(std::int64_t c, std::int64_t group, float* p) const {
    const std::int64_t begin = 4 * group;
    Floats4 four{};
    if (given_momenta == nullptr) {
      four = update.momentum_of(first_chain + static_cast<std::uint32_t>(c),
                                static_cast<std::uint32_t>(group));
    }
    for (std::int64_t k = 0; k < 4 && begin + k < size; ++k) {
      p[begin + k] = given_momenta == nullptr ? four.v[k] : given_momenta[c * size + begin + k];
    }
  }
};

struct DecideBody {
  MalaUpdate update;
  std::uint32_t first_chain;
  std::int64_t size;
  const float* given_uniforms;
  ChainMemory tile;
  float* accepted;

  EBM_HOST_DEVICE void operator()(std::int64_t c) const {
    float* gradient = tile.gradients + c * size;
    const float* proposal_gradient = tile.proposal_gradients + c * size;
    const float* p = tile.momenta + c * size;
    const float* x = tile.states + c * size;
    double kinetic_loss = 0;
    for (std::int64_t begin = 0; begin < size; begin += kBlock) {
      const std::int64_t end = begin + kBlock < size ? begin + kBlock : size;
      float block = 0;
      for (std::int64_t i = begin; i < end; ++i) {
        block += update.kinetic_loss(x[i], gradient[i], proposal_gradient[i], p[i]);
      }
      kinetic_loss += static_cast<double>(block);
    }
    const double log_ratio = update.log_ratio(tile.f[c], tile.proposal_f[c], kinetic_loss);
    const bool moves = accepts(c, log_ratio);
    record(c, log_ratio, moves);
    if (moves) {
      tile.f[c] = tile.proposal_f[c];
      for (std::int64_t i = 0; i < size; ++i) {
        tile.states[c * size + i] = tile.proposals[c * size + i];
        gradient[i] = proposal_gradient[i];
      }
    }
  }

  EBM_HOST_DEVICE bool accepts(std::int64_t c, double log_ratio) const {
    const float u = given_uniforms == nullptr
                        ? update.uniform_of(first_chain + static_cast<std::uint32_t>(c))
                        : given_uniforms[c];
    return MalaUpdate::accepts(log_ratio, u);
  }

  EBM_HOST_DEVICE void record(std::int64_t c, double log_ratio, bool moves) const {
    tile.log_ratios[c] = static_cast<float>(log_ratio);
    accepted[c] = moves ? 1.0F : 0.0F;
  }
};

}  // namespace

void mala_propose(const MalaUpdate& update, std::uint32_t first_chain, int chains,
                  std::int64_t state_size, const float* given_momenta, const ChainMemory& tile,
                  float* gradient_norms) {
  for_each_row(
      chains, state_size,
      ProposeBody{update.in_force(), first_chain, state_size, given_momenta, tile, gradient_norms});
}

void mala_decide(const MalaUpdate& update, std::uint32_t first_chain, int chains,
                 std::int64_t state_size, const float* given_uniforms, const ChainMemory& tile,
                 float* accepted) {
  for_each_row(
      chains, state_size,
      DecideBody{update.in_force(), first_chain, state_size, given_uniforms, tile, accepted});
}

#ifdef __CUDACC__
namespace {

/// The numbers of chain c are those of its counter from now on.
template <class Body>
__device__ void go_to(const ChainCounter& counter, std::int64_t c, Body& body) {
  body.update.step = counter.step;
  body.first_chain = counter.chain - static_cast<std::uint32_t>(c);
}

/// A block for each chain. A thread takes groups of four components, draws their momenta and is
/// alone in reading them.
__global__ void mala_propose_kernel(ProposeBody body, const ChainCounter* counters) {
  const std::int64_t c = blockIdx.x;
  body.update = body.update.in_force();
  if (counters != nullptr) {
    go_to(counters[c], c, body);
  }
  const std::int64_t chain = c * body.size;
  float* p = body.tile.momenta + chain;
  double squares = 0;
  for (std::int64_t group = threadIdx.x; 4 * group < body.size; group += blockDim.x) {
    body.draw_group(c, group, p);
    for (std::int64_t i = 4 * group; i < 4 * group + 4 && i < body.size; ++i) {
      const float gradient = body.tile.gradients[chain + i];
      squares += static_cast<double>(gradient * gradient);
      body.tile.proposals[chain + i] =
          body.update.propose(body.tile.states[chain + i], gradient, p[i]).x;
    }
  }
  squares = block_sum(squares);
  if (threadIdx.x == 0) {
    body.gradient_norms[c] = static_cast<float>(sqrt(squares));
  }
}

__global__ void mala_decide_kernel(DecideBody body, ChainCounter* counters) {
  const std::int64_t c = blockIdx.x;
  body.update = body.update.in_force();
  if (counters != nullptr) {
    go_to(counters[c], c, body);
  }
  const std::int64_t chain = c * body.size;
  const ChainMemory& tile = body.tile;
  double kinetic_loss = 0;
  for (std::int64_t i = threadIdx.x; i < body.size; i += blockDim.x) {
    kinetic_loss += static_cast<double>(
        body.update.kinetic_loss(tile.states[chain + i], tile.gradients[chain + i],
                                 tile.proposal_gradients[chain + i], tile.momenta[chain + i]));
  }
  kinetic_loss = block_sum(kinetic_loss);
  // The sum has the same bits on every thread, and so has the decision.
  const double log_ratio = body.update.log_ratio(tile.f[c], tile.proposal_f[c], kinetic_loss);
  const bool moves = body.accepts(c, log_ratio);
  __syncthreads();  // all have read f and the counter, which thread 0 writes
  if (threadIdx.x == 0) {
    body.record(c, log_ratio, moves);
    if (counters != nullptr) {
      counters[c].step = body.update.step + 1;
    }
    if (moves) {
      tile.f[c] = tile.proposal_f[c];
    }
  }
  if (moves) {
    for (std::int64_t i = threadIdx.x; i < body.size; i += blockDim.x) {
      tile.states[chain + i] = tile.proposals[chain + i];
      tile.gradients[chain + i] = tile.proposal_gradients[chain + i];
    }
  }
}

}  // namespace

void mala_propose(const CudaStream& stream, const MalaUpdate& update, std::uint32_t first_chain,
                  int chains, std::int64_t state_size, const float* given_momenta,
                  const ChainMemory& tile, float* gradient_norms, const ChainCounter* counters) {
  if (chains == 0) {
    return;
  }
  launch_kernel(
      stream, static_cast<unsigned>(chains), block_threads(state_size / 4), 0, mala_propose_kernel,
      ProposeBody{update, first_chain, state_size, given_momenta, tile, gradient_norms}, counters);
}

void mala_decide(const CudaStream& stream, const MalaUpdate& update, std::uint32_t first_chain,
                 int chains, std::int64_t state_size, const float* given_uniforms,
                 const ChainMemory& tile, float* accepted, ChainCounter* counters) {
  if (chains == 0) {
    return;
  }
  launch_kernel(
      stream, static_cast<unsigned>(chains), block_threads(state_size), 0, mala_decide_kernel,
      DecideBody{update, first_chain, state_size, given_uniforms, tile, accepted}, counters);
}
#endif

}  // namespace ebm

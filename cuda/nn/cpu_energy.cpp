#include <omp.h>

#include "cuda/nn/energy.h"
#include "cuda/nn/onednn_network.h"

namespace ebm {
namespace {

/// oneDNN picks a primitive's blocking by the number of threads it sees when the primitive is made.
/// Tiles are one thread's work, so primitives are made for one, and results do not depend on more.
class OneThread {
 public:
  OneThread() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_;
};

/// Small enough for a core's cache, large enough to keep its vector units busy.
int tile_chains(const Network& network) { return network.input().size() > 64 ? 4 : 16; }

}  // namespace

std::unique_ptr<Energy> make_cpu_energy(const Network& network) {
  std::shared_ptr<OneDnnNetwork> shared;
  {
    const OneThread one_thread;
    shared = std::make_shared<OneDnnNetwork>(network, tile_chains(network));
  }
  return std::make_unique<TiledEnergy>(
      [shared] {
        const OneThread one_thread;
        return OneDnnNetwork::make_tile(shared);
      },
      [shared](std::span<const float> theta) {
        const OneThread one_thread;
        shared->set_parameters(theta);
      },
      network.parameter_count());
}

}  // namespace ebm

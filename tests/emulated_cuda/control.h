// What a test can ask of the emulated device besides CUDA's own functions.
#pragma once

#include <cstddef>

namespace emulated_cuda {

/// The order in which blocks, and the threads of a block, get to run. No result may depend on it:
/// a kernel that lacks a barrier gives another result, or NaN, in one of these.
enum class Order { ascending, descending, shuffled };

/// When a stream's work is done: as it is enqueued, or only when something waits for it. No result
/// may depend on this either: a host that does not wait reads old values in the second.
enum class Streams { at_once, late };

struct Behaviour {
  Order order = Order::ascending;
  Streams streams = Streams::at_once;
};

/// At the start what the environment says: EBM_EMULATED_CUDA=descending,late, for example.
Behaviour behaviour();
/// Waits for all work first.
void set_behaviour(const Behaviour& behaviour);

/// What the program has asked for so far.
struct Counts {
  std::size_t allocations = 0;       ///< of any memory, and as many as there were frees, or more
  std::size_t synchronizations = 0;  ///< calls in which the host waits, or may wait
  std::size_t kernels = 0;           ///< launched one by one, or put into a graph
  std::size_t graphs = 0;            ///< launched
};
Counts counts();

/// Memory of the device and pinned memory of the host that has not been freed.
std::size_t live_allocations();

}  // namespace emulated_cuda

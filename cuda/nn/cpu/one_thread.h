// Making what one thread will run.
#pragma once

#include <omp.h>

namespace ebm {

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

}  // namespace ebm

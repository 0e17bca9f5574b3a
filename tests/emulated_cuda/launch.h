// How the emulator is given a kernel.
#pragma once

#include <tuple>
#include <type_traits>
#include <utility>

#include "grid.h"

namespace emulated_cuda {

/// Puts a grid on a stream, as kernel<<<...>>>() does.
cudaError_t launch(cudaStream_t stream, Launch work);

/// The same with the arguments, which are copied now; each thread gets copies of its own.
template <class... Parameters, class... Arguments>
cudaError_t launch(cudaStream_t stream, dim3 blocks, dim3 threads, std::size_t shared_bytes,
                   void (*kernel)(Parameters...), const Arguments&... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...));
  return launch(stream, {.blocks = blocks,
                         .threads = threads,
                         .shared_bytes = shared_bytes,
                         .kernel = reinterpret_cast<const void*>(kernel),
                         .body = [kernel, parameters = std::tuple<Parameters...>(arguments...)] {
                           std::apply(kernel, parameters);
                         }});
}

}  // namespace emulated_cuda

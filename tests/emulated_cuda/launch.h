// How the emulator is given a kernel.
#pragma once

#include <tuple>
#include <type_traits>
#include <utility>

#include "grid.h"

namespace emulated_cuda {

/// Puts a grid on a stream, as kernel<<<...>>>() does. `usable` is whether a device can follow the
/// pointers among the arguments.
cudaError_t launch(cudaStream_t stream, Launch work, bool usable);

/// Whether this is an address in memory of the device, or in pinned memory of the host.
bool is_given_out(const void* memory);

template <class Parameter>
bool is_usable(const Parameter& argument) {
  if constexpr (std::is_pointer_v<Parameter>) {
    return argument == nullptr || is_given_out(argument);
  }
  return true;
}

/// The same with the arguments, which are copied now; each thread gets copies of its own.
template <class... Parameters, class... Arguments>
cudaError_t launch(cudaStream_t stream, dim3 blocks, dim3 threads, std::size_t shared_bytes,
                   void (*kernel)(Parameters...), const Arguments&... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...));
  const std::tuple<Parameters...> parameters(arguments...);
  const bool usable = std::apply(
      [](const Parameters&... parameter) { return (is_usable(parameter) && ...); }, parameters);
  return launch(stream,
                {.blocks = blocks,
                 .threads = threads,
                 .shared_bytes = shared_bytes,
                 .kernel = reinterpret_cast<const void*>(kernel),
                 .body = [kernel, parameters] { std::apply(kernel, parameters); }},
                usable);
}

}  // namespace emulated_cuda

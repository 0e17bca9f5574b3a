// Shared libraries of CUDA's that are opened when they are first used, so that a program starts
// where they are absent. In builds with CUDA only.
#pragma once

#include <dlfcn.h>

#include <string>

namespace ebm {

/// The library of that file name, looked for where the system's loader looks (LD_LIBRARY_PATH,
/// ldconfig), then where CUDA's were when this was compiled. It stays open. Null when it is
/// nowhere; dlerror() says more.
inline void* open_cuda_library(const std::string& name) {
  for (const std::string& place : {name, EBM_CUDA_LIBRARY_DIR "/" + name}) {
    if (void* const library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL)) {
      return library;
    }
  }
  return nullptr;
}

}  // namespace ebm

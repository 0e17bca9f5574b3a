// Owning handles of the CUDA runtime's objects. In builds with CUDA only.
#pragma once

#include <utility>

namespace ebm {

/// Owns a handle that is a pointer, null when there is none, and gives it to `release` at the end.
/// Moves; does not copy. A failing release is ignored: it reports an earlier call's failure, which
/// the next checked call reports as well.
template <class Handle, auto release>
class CudaHandle {
 public:
  CudaHandle() = default;
  explicit CudaHandle(Handle handle) : handle_(handle) {}
  CudaHandle(CudaHandle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  CudaHandle& operator=(CudaHandle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  CudaHandle(const CudaHandle&) = delete;
  CudaHandle& operator=(const CudaHandle&) = delete;
  ~CudaHandle() {
    if (handle_ != nullptr) {
      static_cast<void>(release(handle_));
    }
  }

  Handle get() const { return handle_; }

 private:
  Handle handle_ = nullptr;
};

}  // namespace ebm

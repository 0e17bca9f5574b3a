// Owning memory on the device, and pinned memory of the host to copy it from and to. In builds with
// CUDA only.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "cuda/device/cuda_handle.h"
#include "cuda/device/cuda_status.h"
#include "cuda/device/cuda_stream.h"

namespace ebm {

/// The bytes of `size` values. Throws std::bad_alloc when that is more than can be addressed.
template <class T>
std::size_t bytes_of(std::size_t size) {
  if (size > static_cast<std::size_t>(-1) / 2 / sizeof(T)) {
    throw std::bad_alloc();
  }
  return size * sizeof(T);
}

/// A fixed number of values in the host's memory that the device copies from and to without the
/// host waiting. Zero at the start. Moves; does not copy.
template <class T>
class PinnedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(std::size_t size) : size_(size), values_(allocate(size)) {
    for (T& value : span()) {
      value = T{};
    }
  }

  std::size_t size() const { return size_; }
  T* data() { return static_cast<T*>(values_.get()); }
  const T* data() const { return static_cast<const T*>(values_.get()); }
  std::span<T> span() { return {data(), size_}; }
  std::span<const T> span() const { return {data(), size_}; }

 private:
  static void* allocate(std::size_t size) {
    void* values = nullptr;
    if (size > 0) {
      EBM_CHECK_CUDA(cudaMallocHost(&values, bytes_of<T>(size)));
    }
    return values;
  }

  std::size_t size_ = 0;
  CudaHandle<void*, cudaFreeHost> values_;
};

/// A fixed number of values in the device's memory, whatever was there at the start: so that tools
/// which watch for it see what is read before it is written. Allocated, used and freed in the order
/// of one stream, which must outlive it. Moves; does not copy by accident.
template <class T>
class DeviceBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  DeviceBuffer() = default;
  DeviceBuffer(const CudaStream& stream, std::size_t size) : size_(size), stream_(stream.get()) {
    if (size == 0) {
      return;
    }
    void* values = nullptr;
    EBM_CHECK_CUDA(cudaMallocAsync(&values, bytes_of<T>(size), stream_));
    values_ = static_cast<T*>(values);
  }
  /// The same, all zero.
  static DeviceBuffer zeros(const CudaStream& stream, std::size_t size) {
    DeviceBuffer buffer(stream, size);
    if (size > 0) {
      EBM_CHECK_CUDA(cudaMemsetAsync(buffer.values_, 0, bytes_of<T>(size), stream.get()));
    }
    return buffer;
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  ~DeviceBuffer() { free(); }

  std::size_t size() const { return size_; }
  /// The device's address: for kernels, not for the host.
  T* data() { return values_; }
  const T* data() const { return values_; }

  /// Enqueues a copy of size() values from the host, whose memory must stay as it is until the
  /// stream has come that far.
  /// Throws std::invalid_argument when the sizes differ, as the others do.
  void upload(const CudaStream& stream, std::span<const T> from) {
    require_size(from.size());
    copy(stream, values_, from.data());
  }
  /// Enqueues a copy to the host, which is there when the stream has come that far.
  void download(const CudaStream& stream, std::span<T> to) const {
    require_size(to.size());
    copy(stream, to.data(), values_);
  }
  /// Enqueues a copy from another buffer of the device.
  void copy_from(const CudaStream& stream, const DeviceBuffer& from) {
    require_size(from.size());
    copy(stream, values_, from.values_);
  }

 private:
  void require_size(std::size_t other) const {
    if (other != size_) {
      throw std::invalid_argument("a copy of " + std::to_string(other) +
                                  " values from or to a device buffer of " + std::to_string(size_));
    }
  }
  void copy(const CudaStream& stream, T* to, const T* from) const {
    if (size_ > 0) {
      EBM_CHECK_CUDA(
          cudaMemcpyAsync(to, from, bytes_of<T>(size_), cudaMemcpyDefault, stream.get()));
    }
  }
  void swap(DeviceBuffer& other) noexcept {
    std::swap(size_, other.size_);
    std::swap(stream_, other.stream_);
    std::swap(values_, other.values_);
  }
  void free() noexcept {
    if (values_ != nullptr) {
      static_cast<void>(cudaFreeAsync(values_, stream_));
    }
  }

  std::size_t size_ = 0;
  cudaStream_t stream_ = nullptr;
  T* values_ = nullptr;
};

}  // namespace ebm

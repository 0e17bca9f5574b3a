// Memory where a queue computes.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "cuda/base/buffer.h"
#include "cuda/device/queue.h"
#ifdef EBM_CUDA
#include "cuda/device/device_buffer.h"
#endif

namespace ebm {

/// A fixed number of values where a queue computes, to be written before they are read. Moves; does
/// not copy by accident. Outlived by the stream of its queue.
template <class T>
class Array {
 public:
  Array() = default;
  template <std::integral Count>
  Array([[maybe_unused]] const Queue& queue, Count size) : size_(static_cast<std::size_t>(size)) {
#ifdef EBM_CUDA
    if (!queue.on_cpu()) {
      on_device_ = DeviceBuffer<T>(queue.stream(), size_);
      return;
    }
#endif
    on_cpu_ = Buffer<T>(size_);
  }

  std::size_t size() const { return size_; }
  /// Its address: for what the queue is given.
  T* data() {
#ifdef EBM_CUDA
    if (on_device_.size() > 0) {
      return on_device_.data();
    }
#endif
    return on_cpu_.data();
  }
  const T* data() const { return const_cast<Array*>(this)->data(); }

 private:
  std::size_t size_ = 0;
  Buffer<T> on_cpu_;
#ifdef EBM_CUDA
  DeviceBuffer<T> on_device_;
#endif
};

/// A fixed number of values of the host's that a queue may write and read without the host waiting;
/// zero at the start. Moves; does not copy by accident.
template <class T>
class PinnedArray {
 public:
  PinnedArray([[maybe_unused]] const Queue& queue, std::size_t size) {
#ifdef EBM_CUDA
    if (!queue.on_cpu()) {
      pinned_ = PinnedBuffer<T>(size);
      return;
    }
#endif
    on_cpu_ = Buffer<T>(size);
  }

  T* data() {
#ifdef EBM_CUDA
    if (pinned_.size() > 0) {
      return pinned_.data();
    }
#endif
    return on_cpu_.data();
  }
  const T* data() const { return const_cast<PinnedArray*>(this)->data(); }

 private:
  Buffer<T> on_cpu_;
#ifdef EBM_CUDA
  PinnedBuffer<T> pinned_;
#endif
};

/// Gives a queue the work to copy `count` values, from or to the host's memory or its own. On a
/// device, the host's memory is to stay as it is until wait().
template <class T>
void copy([[maybe_unused]] const Queue& queue, const T* from, std::size_t count, T* to) {
  if (count == 0 || from == to) {
    return;
  }
#ifdef EBM_CUDA
  if (!queue.on_cpu()) {
    EBM_CHECK_CUDA(
        cudaMemcpyAsync(to, from, bytes_of<T>(count), cudaMemcpyDefault, queue.stream().get()));
    return;
  }
#endif
  std::copy_n(from, count, to);
}

/// Gives a queue the work to make `count` values 0.
template <class T>
void clear([[maybe_unused]] const Queue& queue, std::size_t count, T* values) {
#ifdef EBM_CUDA
  if (!queue.on_cpu()) {
    EBM_CHECK_CUDA(cudaMemsetAsync(values, 0, bytes_of<T>(count), queue.stream().get()));
    return;
  }
#endif
  std::fill_n(values, count, T{});
}

/// Values of the host's where a queue computes: themselves on the CPU, a copy of them on a device.
/// The host's are borrowed.
template <class T>
class Mirror {
 public:
  Mirror() = default;
  /// A device is given the work to fetch them.
  Mirror([[maybe_unused]] const Queue& queue, std::span<T> host) : host_(host) {
#ifdef EBM_CUDA
    if (!queue.on_cpu()) {
      copy_ = DeviceBuffer<std::remove_const_t<T>>(queue.stream(), host.size());
      copy_.upload(queue.stream(), host);
    }
#endif
  }

  std::size_t size() const { return host_.size(); }
  /// The address where the queue computes.
  T* data() {
#ifdef EBM_CUDA
    if (copy_.size() > 0) {
      return copy_.data();
    }
#endif
    return host_.data();
  }
  const T* data() const { return const_cast<Mirror*>(this)->data(); }

  /// Gives the queue the work to bring the host's values up to date.
  void read_back([[maybe_unused]] const Queue& queue) const {
#ifdef EBM_CUDA
    if (copy_.size() > 0) {
      copy_.download(queue.stream(), host_);
    }
#endif
  }

 private:
  std::span<T> host_;
#ifdef EBM_CUDA
  DeviceBuffer<std::remove_const_t<T>> copy_;
#endif
};

}  // namespace ebm

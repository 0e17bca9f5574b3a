// Owning, cache-line-aligned memory for states, weights and activations.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

namespace ebm {

/// A fixed number of values, zero at the start, aligned to 64 bytes. Moves; does not copy by
/// accident. Throws std::bad_alloc when there is not enough memory.
template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  explicit Buffer(std::size_t size) : size_(size), values_(allocate(size)) {
    std::fill_n(values_.get(), size, T{});
  }

  std::size_t size() const { return size_; }
  T* data() { return values_.get(); }
  const T* data() const { return values_.get(); }
  T& operator[](std::size_t i) { return values_.get()[i]; }
  const T& operator[](std::size_t i) const { return values_.get()[i]; }
  std::span<T> span() { return {data(), size_}; }
  std::span<const T> span() const { return {data(), size_}; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(T* values) const { ::operator delete(values, kAlignment); }
  };
  static T* allocate(std::size_t size) {
    if (size > static_cast<std::size_t>(-1) / 2 / sizeof(T)) {
      throw std::bad_alloc();
    }
    return static_cast<T*>(::operator new(size * sizeof(T), kAlignment));
  }

  std::size_t size_ = 0;
  std::unique_ptr<T, Free> values_;
};

}  // namespace ebm

// Memory. Every allocation is one of the host's own, so that AddressSanitizer watches its ends, and
// begins as NaN.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "launch.h"
#include "runtime.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace emulated_cuda {
namespace {

constexpr std::size_t kTotalBytes = std::size_t{8} << 30;

struct Allocation {
  std::unique_ptr<std::byte, decltype(&std::free)> memory;
  std::size_t bytes;
  bool on_device;
};

std::map<const std::byte*, Allocation>& allocations() {
  static std::map<const std::byte*, Allocation> all;
  return all;
}

std::size_t device_bytes() {
  std::size_t sum = 0;
  for (const auto& [address, allocation] : allocations()) {
    sum += allocation.on_device ? allocation.bytes : 0;
  }
  return sum;
}

/// The pool of all of the device's memory.
struct Pool {
  std::uint64_t threshold = 0;
  std::size_t reserved = 0;

  /// After memory was taken or given back.
  void update() {
    const std::size_t used = device_bytes();
    reserved =
        std::max(used, static_cast<std::size_t>(std::min<std::uint64_t>(reserved, threshold)));
  }
};

Pool& pool() {
  static Pool the_pool;
  return the_pool;
}

cudaError_t allocate(void** memory, std::size_t bytes, bool on_device) {
  *memory = nullptr;
  if (bytes == 0) {
    return cudaSuccess;
  }
  if (on_device && bytes > kTotalBytes - device_bytes()) {
    return report(cudaErrorMemoryAllocation);
  }
  // cudaMalloc promises 256 bytes. A kernel that needs more than it asks for finds 16 here.
  auto* const place = static_cast<std::byte*>(std::malloc(bytes));
  if (place == nullptr) {
    return report(cudaErrorMemoryAllocation);
  }
  std::memset(place, 0xff, bytes);
#ifdef __SANITIZE_ADDRESS__
  if (on_device) {
    ASAN_POISON_MEMORY_REGION(place, bytes);
  }
#endif
  allocations().emplace(place, Allocation{{place, &std::free}, bytes, on_device});
  pool().update();
  *memory = place;
  return cudaSuccess;
}

cudaError_t release(void* memory, bool on_device) {
  const auto found = allocations().find(static_cast<std::byte*>(memory));
  if (found == allocations().end() || found->second.on_device != on_device) {
    return report(cudaErrorInvalidValue);
  }
  allocations().erase(found);
  pool().update();
  return cudaSuccess;
}

/// What a range of addresses is to the runtime: memory it gave out, of either kind, other memory of
/// the host, or neither, because it goes beyond the end of what was given out.
enum class Kind { device, pinned, pageable, invalid };

Kind kind_of(const void* memory, std::size_t bytes) {
  const auto* const begin = static_cast<const std::byte*>(memory);
  auto found = allocations().upper_bound(begin);
  if (found == allocations().begin()) {
    return Kind::pageable;
  }
  --found;
  const auto offset = static_cast<std::size_t>(begin - found->first);
  if (offset >= found->second.bytes) {
    return Kind::pageable;
  }
  if (bytes > found->second.bytes - offset) {
    return Kind::invalid;
  }
  return found->second.on_device ? Kind::device : Kind::pinned;
}

bool fits(Kind to, Kind from, cudaMemcpyKind kind) {
  if (to == Kind::invalid || from == Kind::invalid) {
    return false;
  }
  const bool to_device = to == Kind::device;
  const bool from_device = from == Kind::device;
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !to_device && !from_device;
    case cudaMemcpyHostToDevice:
      return to_device && !from_device;
    case cudaMemcpyDeviceToHost:
      return !to_device && from_device;
    case cudaMemcpyDeviceToDevice:
      return to_device && from_device;
    case cudaMemcpyDefault:
      return true;
  }
  return false;
}

/// The host's own memory is read before the call returns, and is written by then.
cudaError_t copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                 cudaStream_t stream) {
  const Kind to_kind = kind_of(to, bytes);
  const Kind from_kind = kind_of(from, bytes);
  if (!fits(to_kind, from_kind, kind)) {
    return report(cudaErrorInvalidValue);
  }
  if (from_kind == Kind::pageable && !is_capturing(stream)) {
    const auto* const bytes_of = static_cast<const std::byte*>(from);
    return enqueue(stream, [to, values = std::vector<std::byte>(bytes_of, bytes_of + bytes)] {
      std::memcpy(to, values.data(), values.size());
      return cudaSuccess;
    });
  }
  const cudaError_t status = enqueue(stream, [to, from, bytes] {
    std::memmove(to, from, bytes);
    return cudaSuccess;
  });
  if (status == cudaSuccess && to_kind == Kind::pageable && !is_capturing(stream)) {
    ++current_counts().synchronizations;
    return finish(stream);
  }
  return status;
}

/// What cudaFree and cudaFreeHost do: memory may be in use until all work is done.
cudaError_t wait_and_release(void* memory, bool on_device) {
  const std::scoped_lock lock(device_mutex());
  if (memory == nullptr) {
    return cudaSuccess;
  }
  if (const cudaError_t status = begin_synchronization(); status != cudaSuccess) {
    return status;
  }
  finish_all();
  return release(memory, on_device);
}

}  // namespace

bool is_given_out(const void* memory) {
  const Kind kind = kind_of(memory, 1);
  return kind == Kind::device || kind == Kind::pinned;
}

#ifdef __SANITIZE_ADDRESS__
DeviceAtWork::DeviceAtWork() {
  for (const auto& [address, allocation] : allocations()) {
    ASAN_UNPOISON_MEMORY_REGION(address, allocation.bytes);
  }
}

DeviceAtWork::~DeviceAtWork() {
  for (const auto& [address, allocation] : allocations()) {
    if (allocation.on_device) {
      ASAN_POISON_MEMORY_REGION(address, allocation.bytes);
    }
  }
}
#endif

std::size_t live_allocations() {
  const std::scoped_lock lock(device_mutex());
  finish_all();
  return allocations().size();
}

}  // namespace emulated_cuda

using namespace emulated_cuda;

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const std::scoped_lock lock(device_mutex());
  *total = kTotalBytes;
  *free = kTotalBytes - pool().reserved;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  *pool = nullptr;  // there is one
  return cudaSetDevice(device);
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t /*pool*/, cudaMemPoolAttr attribute,
                                    void* value) {
  const std::scoped_lock lock(device_mutex());
  if (attribute != cudaMemPoolAttrReleaseThreshold) {
    return report(cudaErrorInvalidValue);
  }
  std::memcpy(&pool().threshold, value, sizeof(std::uint64_t));
  return cudaSuccess;
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t /*pool*/, cudaMemPoolAttr attribute,
                                    void* value) {
  const std::scoped_lock lock(device_mutex());
  const std::uint64_t answer = attribute == cudaMemPoolAttrReleaseThreshold     ? pool().threshold
                               : attribute == cudaMemPoolAttrReservedMemCurrent ? pool().reserved
                                                                                : device_bytes();
  std::memcpy(value, &answer, sizeof(answer));
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  const std::scoped_lock lock(device_mutex());
  const cudaError_t status = begin_allocation();
  return status != cudaSuccess ? status : allocate(memory, bytes, true);
}

cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t /*stream*/) {
  return cudaMalloc(memory, bytes);
}

cudaError_t cudaFree(void* memory) { return wait_and_release(memory, true); }

cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  const std::scoped_lock lock(device_mutex());
  if (const cudaError_t status = begin_allocation(); status != cudaSuccess) {
    return status;
  }
  return enqueue(stream, [memory] { return release(memory, true); });
}

cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned /*flags*/) {
  const std::scoped_lock lock(device_mutex());
  const cudaError_t status = begin_allocation();
  return status != cudaSuccess ? status : allocate(memory, bytes, false);
}

cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  return cudaHostAlloc(memory, bytes, cudaHostAllocDefault);
}

cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned /*flags*/) {
  const std::scoped_lock lock(device_mutex());
  if (kind_of(host, 1) != Kind::pinned) {
    return report(cudaErrorInvalidValue);
  }
  *device = host;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* memory) { return wait_and_release(memory, false); }

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const std::scoped_lock lock(device_mutex());
  if (const cudaError_t status = begin_synchronization(); status != cudaSuccess) {
    return status;
  }
  const cudaError_t status = copy(to, from, bytes, kind, nullptr);
  return status != cudaSuccess ? status : finish(nullptr);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const std::scoped_lock lock(device_mutex());
  return copy(to, from, bytes, kind, stream);
}

cudaError_t cudaMemset(void* memory, int value, std::size_t bytes) {
  return cudaMemsetAsync(memory, value, bytes, nullptr);
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  const std::scoped_lock lock(device_mutex());
  const Kind kind = kind_of(memory, bytes);
  if (kind != Kind::device && kind != Kind::pinned) {
    return report(cudaErrorInvalidValue);
  }
  return enqueue(stream, [memory, value, bytes] {
    std::memset(memory, value, bytes);
    return cudaSuccess;
  });
}

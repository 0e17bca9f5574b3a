#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifndef __x86_64__
#error "the emulator of CUDA switches stacks on x86-64 only"
#endif

// void emulated_cuda_switch(void** save_stack_pointer, void* load_stack_pointer): keeps what the
// System V ABI lets a function rely on after a call (rbx, rbp, r12 to r15, and where it is) on the
// stack it leaves, and takes the same from the stack it enters.
asm(R"(
  .text
  .type emulated_cuda_switch, @function
emulated_cuda_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size emulated_cuda_switch, . - emulated_cuda_switch

  .type emulated_cuda_start, @function
emulated_cuda_start:
  movq %r12, %rdi
  call *%r13
  .size emulated_cuda_start, . - emulated_cuda_start
)");
extern "C" {
void emulated_cuda_switch(void** save_stack_pointer, void* load_stack_pointer);
void emulated_cuda_start();
}

namespace emulated_cuda {
namespace {

constexpr std::size_t kGuardBytes = 4096;
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kStackBytes = 512 * 1024;  // it lays red zones around every variable
#else
constexpr std::size_t kStackBytes = 128 * 1024;
#endif

}  // namespace

Fiber::Fiber(std::function<void()> body) : body_(std::move(body)) {
  void* const memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::bad_alloc();
  }
  mprotect(memory, kGuardBytes, PROT_NONE);  // too deep a stack stops here
  stack_ = static_cast<std::byte*>(memory) + kGuardBytes;
  restart();
}

Fiber::~Fiber() {
  restart();
  munmap(stack_ - kGuardBytes, kGuardBytes + kStackBytes);
}

void Fiber::restart() {
#ifdef __SANITIZE_ADDRESS__
  ASAN_UNPOISON_MEMORY_REGION(stack_, kStackBytes);
  shadow_ = nullptr;
#endif
  // What emulated_cuda_switch takes from a stack: r15, r14, r13, r12, rbx, rbp, and where to go.
  // There the stack has to be a multiple of 16, and a zero ends a debugger's way up.
  auto* const top = reinterpret_cast<std::uintptr_t*>(stack_ + kStackBytes);
  std::uintptr_t* const frame = top - 9;
  for (std::uintptr_t* word = frame; word != top; ++word) {
    *word = 0;
  }
  frame[2] = reinterpret_cast<std::uintptr_t>(&Fiber::start);
  frame[3] = reinterpret_cast<std::uintptr_t>(this);
  frame[6] = reinterpret_cast<std::uintptr_t>(&emulated_cuda_start);
  stack_pointer_ = frame;
}

void Fiber::resume() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&resumer_shadow_, stack_, kStackBytes);
#endif
  emulated_cuda_switch(&resumer_, stack_pointer_);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(resumer_shadow_, nullptr, nullptr);
#endif
}

void Fiber::pause() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&shadow_, resumer_stack_, resumer_stack_bytes_);
#endif
  emulated_cuda_switch(&stack_pointer_, resumer_);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(shadow_, &resumer_stack_, &resumer_stack_bytes_);
#endif
}

void Fiber::start(Fiber* fiber) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &fiber->resumer_stack_, &fiber->resumer_stack_bytes_);
#endif
  fiber->body_();
  __builtin_unreachable();
}

}  // namespace emulated_cuda

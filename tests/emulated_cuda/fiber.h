// A thread of control of its own stack that gives way only when it says so.
#pragma once

#include <cstddef>
#include <functional>

namespace emulated_cuda {

/// Runs a function on a stack of its own, in turns with the code that resumes it. Belongs to the
/// operating system's thread that made it. x86-64 only.
class Fiber {
 public:
  /// `body` must never return: when it has nothing more to do it calls pause().
  explicit Fiber(std::function<void()> body);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Runs the body from where it paused, until it pauses again.
  void resume();
  /// To be called by the body: goes on in whoever resumed it.
  void pause();
  /// Forgets where the body is; the next resume() starts it anew. What is on its stack is not
  /// destroyed.
  void restart();

 private:
  [[noreturn]] static void start(Fiber* fiber);

  std::function<void()> body_;
  std::byte* stack_;
  void* stack_pointer_ = nullptr;
  void* resumer_ = nullptr;
  // What AddressSanitizer has to know of the two stacks.
  void* shadow_ = nullptr;
  void* resumer_shadow_ = nullptr;
  const void* resumer_stack_ = nullptr;
  std::size_t resumer_stack_bytes_ = 0;
};

}  // namespace emulated_cuda

#include "grid.h"

#include <dlfcn.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "cuda/base/ceil_div.h"
#include "cuda_runtime.h"
#include "fiber.h"

// Where shared_arrays.ld has the linker put all __shared__ arrays.
extern "C" std::byte emulated_cuda_shared_begin[];
extern "C" std::byte emulated_cuda_shared_end[];

namespace emulated_cuda {
namespace {

constexpr unsigned kLanes = 32;

std::string place(const uint3& index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " +
         std::to_string(index.z) + ")";
}

uint3 index_of(std::uint64_t position, const dim3& extent) {
  return {static_cast<unsigned>(position % extent.x),
          static_cast<unsigned>(position / extent.x % extent.y),
          static_cast<unsigned>(position / extent.x / extent.y)};
}

/// AddressSanitizer lets no function that it knows, as std::memset, write between arrays.
void fill_with_nan(std::byte* memory, std::size_t bytes) {
  asm volatile("rep stosb" : "+D"(memory), "+c"(bytes) : "a"(0xff) : "memory");
}

template <class Call>
void for_each_lane(unsigned mask, const Call& call) {
  for (; mask != 0; mask &= mask - 1) {
    call(static_cast<unsigned>(std::countr_zero(mask)));
  }
}

/// A thread of the running block.
struct Thread {
  enum class State { fresh, ready, waiting, done };
  State state = State::fresh;
  Fiber* fiber = nullptr;  ///< where it stands, between its first wait and its end
  // While it waits:
  Meeting kind{};
  unsigned mask = 0;
  std::uint64_t value = 0;
  unsigned source = 0;
  std::uint64_t result = 0;

  bool waits_at(Meeting other_kind, unsigned other_mask) const {
    return state == State::waiting && kind == other_kind && mask == other_mask;
  }
  std::string whereabouts() const {
    constexpr const char* kNames[] = {"__syncthreads", "__syncwarp", "a shuffle", "a vote"};
    if (state != State::waiting) {
      return "has ended";
    }
    std::string text = std::string("waits in ") + kNames[static_cast<int>(kind)];
    if (kind != Meeting::block_barrier) {
      char lanes[32];
      std::snprintf(lanes, sizeof(lanes), " of lanes 0x%08x", mask);
      text += lanes;
    }
    return text;
  }
};

/// The grid that the calling operating system's thread runs.
class Grid {
 public:
  std::string run(const Launch& launch, Order order);
  void* shared() const { return shared_.get(); }
  unsigned lane() const { return current_ % kLanes; }
  void meet_block();
  std::uint64_t meet_warp(Meeting kind, unsigned mask, std::uint64_t value, unsigned source);

 private:
  void run_block();
  void run_threads();
  bool next_fresh();
  void resume(Fiber* fiber, unsigned thread);
  Fiber* idle_fiber();
  void make_current(unsigned thread);
  void wait();
  bool all_there(unsigned first, Meeting kind, unsigned mask) const;
  std::uint64_t result_for(const Thread& thread, unsigned first) const;
  void fail(unsigned thread, const std::string& what);
  void explain_standstill();
  std::vector<unsigned> in_order(std::uint64_t count);

  const Launch* launch_ = nullptr;
  Order order_{};
  std::minstd_rand random_;
  std::string error_;
  std::unique_ptr<std::byte, decltype(&std::free)> shared_{nullptr, &std::free};

  std::vector<uint3> indices_;   // of a block's threads
  std::vector<Thread> threads_;  // of the running block
  std::vector<unsigned> turns_;  // in the order in which they run
  std::size_t started_ = 0;      // so many of turns_ have
  std::size_t at_barrier_ = 0;
  std::vector<unsigned> waiting_lanes_;  // of each warp, for other lanes
  unsigned current_ = 0;
  Fiber* running_ = nullptr;

  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
};

std::string Grid::run(const Launch& launch, Order order) {
  launch_ = &launch;
  order_ = order;
  random_.seed(1);
  error_.clear();
  gridDim = launch.blocks;
  blockDim = launch.threads;
  indices_.clear();
  for (unsigned thread = 0; thread < count(launch.threads); ++thread) {
    indices_.push_back(index_of(thread, launch.threads));
  }
  // An allocation of its own, so that AddressSanitizer knows where it ends.
  shared_.reset(static_cast<std::byte*>(std::malloc(launch.shared_bytes)));
  for (const unsigned block : in_order(count(launch.blocks))) {
    blockIdx = index_of(block, launch.blocks);
    run_block();
    if (!error_.empty()) {
      break;
    }
  }
  shared_.reset();
  return error_;
}

std::vector<unsigned> Grid::in_order(std::uint64_t count) {
  std::vector<unsigned> order(count);
  std::iota(order.begin(), order.end(), 0U);
  if (order_ == Order::descending) {
    std::reverse(order.begin(), order.end());
  } else if (order_ == Order::shuffled) {
    std::shuffle(order.begin(), order.end(), random_);
  }
  return order;
}

void Grid::run_block() {
  fill_with_nan(shared_.get(), launch_->shared_bytes);
  fill_with_nan(emulated_cuda_shared_begin,
                static_cast<std::size_t>(emulated_cuda_shared_end - emulated_cuda_shared_begin));
  threads_.assign(count(launch_->threads), Thread{});
  turns_ = in_order(threads_.size());
  started_ = 0;
  at_barrier_ = 0;
  waiting_lanes_.assign(ebm::ceil_div(threads_.size(), kLanes), 0);
  while (error_.empty() && next_fresh()) {
    resume(idle_fiber(), current_);
  }
  for (bool moved = true; moved && error_.empty();) {
    moved = false;
    for (const unsigned thread : turns_) {
      if (threads_[thread].state == Thread::State::ready && error_.empty()) {
        resume(threads_[thread].fiber, thread);
        moved = true;
      }
    }
  }
  if (error_.empty()) {
    explain_standstill();
  }
  for (const Thread& thread : threads_) {
    if (thread.fiber != nullptr) {  // there was an error
      thread.fiber->restart();
      idle_.push_back(thread.fiber);
    }
  }
}

/// What a fiber does: starts threads that have not run yet, one after the other, until one of them
/// waits and keeps the fiber. A kernel whose threads do not wait needs one fiber for all of them.
void Grid::run_threads() {
  for (;;) {
    do {
      launch_->body();
      threads_[current_].state = Thread::State::done;
      threads_[current_].fiber = nullptr;
    } while (next_fresh());
    idle_.push_back(running_);
    running_->pause();
  }
}

bool Grid::next_fresh() {
  if (started_ == turns_.size()) {
    return false;
  }
  make_current(turns_[started_++]);
  return true;
}

void Grid::make_current(unsigned thread) {
  current_ = thread;
  threadIdx = indices_[thread];
}

void Grid::resume(Fiber* fiber, unsigned thread) {
  running_ = fiber;
  make_current(thread);
  fiber->resume();
}

Fiber* Grid::idle_fiber() {
  if (idle_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>([this] { run_threads(); }));
    return fibers_.back().get();
  }
  Fiber* const fiber = idle_.back();
  idle_.pop_back();
  return fiber;
}

void Grid::wait() {
  threads_[current_].fiber = running_;
  running_->pause();
}

void Grid::meet_block() {
  Thread& mine = threads_[current_];
  if (++at_barrier_ < threads_.size()) {
    mine.state = Thread::State::waiting;
    mine.kind = Meeting::block_barrier;
    mine.mask = 0;
    wait();
    return;
  }
  at_barrier_ = 0;
  for (Thread& thread : threads_) {
    thread.state = Thread::State::ready;
  }
}

std::uint64_t Grid::meet_warp(Meeting kind, unsigned mask, std::uint64_t value, unsigned source) {
  Thread& mine = threads_[current_];
  mine.state = Thread::State::waiting;
  mine.kind = kind;
  mine.mask = mask;
  mine.value = value;
  mine.source = source;
  const unsigned first = current_ - lane();
  if ((mask >> lane() & 1U) == 0) {
    fail(current_, mine.whereabouts() + ", of which it is none");
  } else if (kind == Meeting::shuffle && (mask >> source & 1U) == 0) {
    fail(current_, mine.whereabouts() + " and asks for the value of lane " +
                       std::to_string(source) + ", which is none of them");
  }
  unsigned& waiting = waiting_lanes_[current_ / kLanes];
  waiting |= 1U << lane();
  if (!error_.empty() || (waiting & mask) != mask || !all_there(first, kind, mask)) {
    wait();
    return mine.result;
  }
  waiting &= ~mask;
  for_each_lane(mask, [&](unsigned k) {
    threads_[first + k].result = result_for(threads_[first + k], first);
    threads_[first + k].state = Thread::State::ready;
  });
  return mine.result;
}

bool Grid::all_there(unsigned first, Meeting kind, unsigned mask) const {
  bool there = true;
  for_each_lane(mask,
                [&](unsigned k) { there = there && threads_[first + k].waits_at(kind, mask); });
  return there;
}

std::uint64_t Grid::result_for(const Thread& thread, unsigned first) const {
  if (thread.kind == Meeting::shuffle) {
    return threads_[first + thread.source].value;
  }
  std::uint64_t lanes = 0;
  for_each_lane(thread.mask,
                [&](unsigned k) { lanes |= std::uint64_t{threads_[first + k].value != 0} << k; });
  return lanes;
}

void Grid::fail(unsigned thread, const std::string& what) {
  error_ = "in kernel " + kernel_name(launch_->kernel) + ", block " + place(blockIdx) +
           ", thread " + place(index_of(thread, launch_->threads)) + " " + what;
}

/// No thread can go on. If one waits, says for whom.
void Grid::explain_standstill() {
  const auto found = std::ranges::find(threads_, Thread::State::waiting, &Thread::state);
  if (found == threads_.end()) {
    return;
  }
  const auto waiting = static_cast<unsigned>(found - threads_.begin());
  const bool whole_block = found->kind == Meeting::block_barrier;
  const unsigned first = whole_block ? 0 : waiting / kLanes * kLanes;
  const std::size_t end = whole_block ? threads_.size() : first + kLanes;
  for (unsigned other = first; other < end; ++other) {
    if (!whole_block && (found->mask >> (other - first) & 1U) == 0) {
      continue;
    }
    if (other >= threads_.size()) {
      fail(waiting, found->whereabouts() + ", but the block has no lane " +
                        std::to_string(other - first) + " there");
      return;
    }
    if (!threads_[other].waits_at(found->kind, found->mask)) {
      fail(waiting, found->whereabouts() + ", but thread " +
                        place(index_of(other, launch_->threads)) + " " +
                        threads_[other].whereabouts());
      return;
    }
  }
}

Grid& grid() {
  thread_local Grid the_grid;
  return the_grid;
}

}  // namespace

// addr2line reads them.
std::string kernel_name(const void* kernel) {
  Dl_info program{};
  std::string name;
  if (dladdr(kernel, &program) != 0) {
    const auto offset = static_cast<const char*>(kernel) - static_cast<char*>(program.dli_fbase);
    char number[32];
    std::snprintf(number, sizeof(number), "0x%tx", offset);
    const std::string command =
        std::string("addr2line -f -C -e '") + program.dli_fname + "' " + number + " 2>&1";
    if (FILE* const output = popen(command.c_str(), "r"); output != nullptr) {
      for (int c = fgetc(output); c != EOF && c != '\n'; c = fgetc(output)) {
        name += static_cast<char>(c);
      }
      pclose(output);
    }
  }
  return name.empty() ? "(name unknown)" : name;
}

std::string run_grid(const Launch& launch, Order order) { return grid().run(launch, order); }
void* dynamic_shared() { return grid().shared(); }
void meet_block() { grid().meet_block(); }
std::uint64_t meet_warp(Meeting kind, unsigned mask, std::uint64_t value, unsigned source) {
  return grid().meet_warp(kind, mask, value, source);
}
unsigned lane() { return grid().lane(); }

}  // namespace emulated_cuda

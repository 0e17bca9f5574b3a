// Streams, events and graphs.

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "runtime.h"

/// A captured sequence: streams that took part run one after the other, in the order of the calls.
struct CUgraph_st {
  std::vector<emulated_cuda::Work> nodes;
};

struct CUgraphExec_st {
  std::shared_ptr<const CUgraph_st> graph;
};

namespace emulated_cuda {
namespace {

struct Capture {
  cudaStream_t origin = nullptr;
  std::vector<cudaStream_t> streams{};
  std::unique_ptr<CUgraph_st> graph = std::make_unique<CUgraph_st>();
  bool spoiled = false;
};

/// The capture that the calling thread has begun and not ended.
thread_local std::shared_ptr<Capture> captured_here;

struct Event {
  cudaStream_t stream = nullptr;
  std::size_t recorded = 0;  ///< how often
  std::size_t reached = 0;   ///< which of these the stream has come to
  std::chrono::steady_clock::time_point time{};
  std::shared_ptr<Capture> capture{};  ///< it is a place in this
  std::size_t place = 0;               ///< work captured from the stream before it
};

}  // namespace
}  // namespace emulated_cuda

using namespace emulated_cuda;

struct CUstream_st {
  std::deque<Work> queue{};
  cudaError_t failure = cudaSuccess;
  std::shared_ptr<Capture> capture{};
  std::size_t captured = 0;  ///< works put into the capture
  bool joined = true;        ///< the capture's origin waits for the last of them
};

struct CUevent_st {
  std::shared_ptr<Event> state = std::make_shared<Event>();
};

namespace emulated_cuda {
namespace {

CUstream_st default_stream;

cudaStream_t or_default(cudaStream_t stream) {
  return stream == nullptr ? &default_stream : stream;
}

std::set<cudaStream_t>& streams() {
  static std::set<cudaStream_t> all{&default_stream};
  return all;
}

cudaError_t do_now(const Work& work) {
  [[maybe_unused]] const DeviceAtWork at_work;
  return work();
}

void do_next(cudaStream_t stream) {
  const Work work = std::move(stream->queue.front());
  stream->queue.pop_front();
  if (const cudaError_t status = do_now(work); status != cudaSuccess) {
    stream->failure = status;
  }
}

void reach(const Event& event, std::size_t record) {
  while (event.reached < record) {
    do_next(event.stream);
  }
}

cudaError_t spoil_capture() {
  captured_here->spoiled = true;
  return report(cudaErrorStreamCaptureUnsupported);
}

}  // namespace

cudaError_t begin_synchronization() {
  ++current_counts().synchronizations;
  return captured_here != nullptr ? spoil_capture() : cudaSuccess;
}

cudaError_t begin_allocation() {
  ++current_counts().allocations;
  return captured_here != nullptr ? spoil_capture() : cudaSuccess;
}

cudaError_t begin_loading() { return captured_here != nullptr ? spoil_capture() : cudaSuccess; }

bool is_capturing(cudaStream_t stream) { return or_default(stream)->capture != nullptr; }

cudaError_t finish(cudaStream_t stream) {
  stream = or_default(stream);
  while (!stream->queue.empty()) {
    do_next(stream);
  }
  return report(std::exchange(stream->failure, cudaSuccess));
}

cudaError_t finish_all() {
  cudaError_t status = cudaSuccess;
  for (const cudaStream_t stream : streams()) {
    if (const cudaError_t mine = finish(stream); mine != cudaSuccess) {
      status = mine;
    }
  }
  return status;
}

cudaError_t enqueue(cudaStream_t stream, Work work) {
  stream = or_default(stream);
  if (!streams().contains(stream)) {
    return report(cudaErrorInvalidResourceHandle);
  }
  if (stream->capture != nullptr) {
    stream->capture->graph->nodes.push_back(std::move(work));
    ++stream->captured;
    stream->joined = stream == stream->capture->origin;
    return cudaSuccess;
  }
  if (current_behaviour().streams == Streams::late) {
    stream->queue.push_back(std::move(work));
    return cudaSuccess;
  }
  return do_now(work);
}

}  // namespace emulated_cuda

// ---- Streams ----

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned /*flags*/) {
  const std::scoped_lock lock(device_mutex());
  *stream = new CUstream_st;
  streams().insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::scoped_lock lock(device_mutex());
  if (stream->capture != nullptr) {
    stream->capture->spoiled = true;
    return report(cudaErrorStreamCaptureUnsupported);
  }
  finish(stream);
  streams().erase(stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::scoped_lock lock(device_mutex());
  const cudaError_t status = begin_synchronization();
  return status != cudaSuccess ? status : finish(stream);
}

cudaError_t cudaDeviceSynchronize() {
  const std::scoped_lock lock(device_mutex());
  const cudaError_t status = begin_synchronization();
  return status != cudaSuccess ? status : finish_all();
}

/// Whoever asks again and again gets on, one work at a time.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const std::scoped_lock lock(device_mutex());
  stream = or_default(stream);
  if (captured_here != nullptr) {
    return spoil_capture();
  }
  if (stream->queue.empty()) {
    return finish(stream);
  }
  do_next(stream);
  return cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned /*flags*/) {
  const std::scoped_lock lock(device_mutex());
  stream = or_default(stream);
  const std::shared_ptr<Event> state = event->state;
  if (state->capture == nullptr) {
    if (stream->capture != nullptr) {  // nothing in a graph can wait for what is not
      stream->capture->spoiled = true;
      return report(cudaErrorStreamCaptureIsolation);
    }
    return enqueue(stream, [state, record = state->recorded] {
      reach(*state, record);
      return cudaSuccess;
    });
  }
  if (state->stream->capture != state->capture ||
      (stream->capture != nullptr && stream->capture != state->capture)) {
    return report(cudaErrorCapturedEvent);
  }
  if (stream->capture == nullptr) {
    stream->capture = state->capture;
    stream->captured = 0;
    stream->joined = false;
    stream->capture->streams.push_back(stream);
  } else if (state->place == state->stream->captured) {
    state->stream->joined = true;
  }
  return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  const std::scoped_lock lock(device_mutex());
  return enqueue(stream, [function, data] {
    function(data);
    return cudaSuccess;
  });
}

// ---- Events ----

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned /*flags*/) {
  *event = new CUevent_st;
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::scoped_lock lock(device_mutex());
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::scoped_lock lock(device_mutex());
  stream = or_default(stream);
  const std::shared_ptr<Event> state = event->state;
  state->stream = stream;
  state->capture = stream->capture;
  state->place = stream->captured;
  if (stream->capture != nullptr) {
    return cudaSuccess;
  }
  return enqueue(stream, [state, record = ++state->recorded] {
    state->time = std::chrono::steady_clock::now();
    state->reached = record;
    return cudaSuccess;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::scoped_lock lock(device_mutex());
  if (const cudaError_t status = begin_synchronization(); status != cudaSuccess) {
    return status;
  }
  if (event->state->capture != nullptr) {
    return report(cudaErrorCapturedEvent);
  }
  reach(*event->state, event->state->recorded);
  return event->state->recorded == 0
             ? cudaSuccess
             : report(std::exchange(event->state->stream->failure, cudaSuccess));
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::scoped_lock lock(device_mutex());
  const Event& state = *event->state;
  if (captured_here != nullptr) {
    return spoil_capture();
  }
  if (state.capture != nullptr) {
    return report(cudaErrorCapturedEvent);
  }
  if (state.reached == state.recorded) {
    return cudaSuccess;
  }
  do_next(state.stream);
  return cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  const std::scoped_lock lock(device_mutex());
  for (const cudaEvent_t event : {begin, end}) {
    if (event->state->capture != nullptr || event->state->recorded == 0) {
      return report(cudaErrorInvalidValue);
    }
    if (event->state->reached != event->state->recorded) {
      return cudaErrorNotReady;
    }
  }
  *milliseconds =
      std::chrono::duration<float, std::milli>(end->state->time - begin->state->time).count();
  return cudaSuccess;
}

// ---- Graphs ----

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode /*mode*/) {
  const std::scoped_lock lock(device_mutex());
  if (stream == nullptr || stream->capture != nullptr || captured_here != nullptr) {
    return report(cudaErrorStreamCaptureUnsupported);
  }
  captured_here = std::make_shared<Capture>();
  captured_here->origin = stream;
  captured_here->streams = {stream};
  stream->capture = captured_here;
  stream->captured = 0;
  stream->joined = true;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::scoped_lock lock(device_mutex());
  *graph = nullptr;
  if (captured_here == nullptr || captured_here->origin != stream) {
    return report(cudaErrorInvalidValue);
  }
  const std::shared_ptr<Capture> capture = std::exchange(captured_here, nullptr);
  bool joined = true;
  for (const cudaStream_t member : capture->streams) {
    joined = joined && member->joined;
    member->capture = nullptr;
  }
  if (capture->spoiled) {
    return report(cudaErrorStreamCaptureInvalidated);
  }
  if (!joined) {
    return report(cudaErrorStreamCaptureUnjoined);
  }
  *graph = capture->graph.release();
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const std::scoped_lock lock(device_mutex());
  const std::shared_ptr<Capture>& capture = or_default(stream)->capture;
  *status = capture == nullptr ? cudaStreamCaptureStatusNone
            : capture->spoiled ? cudaStreamCaptureStatusInvalidated
                               : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const std::scoped_lock lock(device_mutex());
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long /*flags*/) {
  const std::scoped_lock lock(device_mutex());
  *executable = new CUgraphExec_st{std::make_shared<const CUgraph_st>(*graph)};
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const std::scoped_lock lock(device_mutex());
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const std::scoped_lock lock(device_mutex());
  ++current_counts().graphs;
  return enqueue(stream, [graph = executable->graph] {
    for (const Work& node : graph->nodes) {
      if (const cudaError_t status = node(); status != cudaSuccess) {
        return status;
      }
    }
    return cudaSuccess;
  });
}

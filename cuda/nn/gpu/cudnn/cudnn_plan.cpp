#include "cuda/nn/gpu/cudnn/cudnn_plan.h"

#include <algorithm>
#include <exception>

#include "cuda/device/cudnn_status.h"

namespace ebm {
namespace {

namespace fe = cudnn_frontend;

/// tf32's plans use tensor cores on floats as they are; DOWN_CONVERT_INPUTS would make them halves.
std::vector<fe::NumericalNote_t> unwanted(Precision precision) {
  using enum fe::NumericalNote_t;
  std::vector<fe::NumericalNote_t> notes{NONDETERMINISTIC, REDUCED_PRECISION_REDUCTION,
                                         DOWN_CONVERT_INPUTS};
  if (precision == Precision::fp32) {
    notes.insert(notes.end(),
                 {TENSOR_CORE, FFT, WINOGRAD_TILE_4x4, WINOGRAD_TILE_6x6, WINOGRAD_TILE_13x13});
  }
  return notes;
}

bool propose(fe::graph::Graph& graph, cudnnContext* handle, Precision precision) {
  // A CudaGraph's launches would take longer if it owned the plans of what it captured.
  graph.set_cuda_graph_retention(fe::CudaGraphRetention_t::NONE);
  EBM_CHECK_CUDNN(graph.validate());
  EBM_CHECK_CUDNN(graph.build_operation_graph(handle));
  if (graph.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}).is_bad()) {
    return false;
  }
  graph.deselect_numeric_notes(unwanted(precision));
  graph.deselect_workspace_greater_than(kLargestWorkspace);
  return graph.get_execution_plan_count() > 0;
}

/// A graph that deserialize(graph) has filled; null when that failed.
template <class Deserialize>
CudnnGraph restored(const Deserialize& deserialize) {
  auto graph = std::make_shared<fe::graph::Graph>();
  graph->set_cuda_graph_retention(fe::CudaGraphRetention_t::NONE);
  try {
    return deserialize(*graph).is_good() ? graph : nullptr;
  } catch (const std::exception&) {  // not what this cudnn_frontend writes
    return nullptr;
  }
}

}  // namespace

bool propose_plans(fe::graph::Graph& graph, const CudnnHandle& device, Precision precision) {
  return propose(graph, device.get(), precision);
}

bool propose_plans(fe::graph::Graph& graph, const CudnnDevice& device, Precision precision) {
  graph.set_device_properties(device);
  return propose(graph, nullptr, precision);
}

std::vector<ProposedPlan> proposed_plans(const fe::graph::Graph& graph) {
  std::vector<ProposedPlan> plans(static_cast<std::size_t>(graph.get_execution_plan_count()));
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    std::vector<fe::BehaviorNote_t> notes;
    EBM_CHECK_CUDNN(graph.get_plan_name_at_index(index, plans[i].name));
    EBM_CHECK_CUDNN(graph.get_behavior_notes_for_plan_at_index(index, notes));
    plans[i].is_compiled_at_run_time =
        std::ranges::find(notes, fe::BehaviorNote_t::RUNTIME_COMPILATION) != notes.end();
  }
  return plans;
}

std::optional<CudnnPlan> CudnnPlan::compile(const CudnnGraph& graph, std::int64_t index) {
  return graph->build_plan_at_index(index).is_good() ? std::optional(CudnnPlan(graph, index))
                                                     : std::nullopt;
}

std::optional<CudnnPlan> CudnnPlan::restore(const CudnnHandle& device,
                                            std::vector<std::uint8_t> saved) {
  CudnnGraph graph = restored([&](fe::graph::Graph& empty) {
    return empty.deserialize(device.get(), saved, false, false);
  });
  return graph ? std::optional(CudnnPlan(std::move(graph), 0, std::move(saved))) : std::nullopt;
}

std::optional<CudnnPlan> CudnnPlan::restore(const CudnnDevice& device,
                                            std::vector<std::uint8_t> saved) {
  CudnnGraph graph = restored([&](fe::graph::Graph& empty) {
    empty.set_device_properties(device);
    return empty.deserialize(saved, false);
  });
  return graph ? std::optional(CudnnPlan(std::move(graph), 0, std::move(saved))) : std::nullopt;
}

std::vector<std::uint8_t> CudnnPlan::save() const {
  if (!saved_.empty()) {  // a restored graph has no proposals, and so cannot be told to build one
    return saved_;
  }
  EBM_CHECK_CUDNN(
      graph_->build_plan_at_index(index_));  // it is built: this makes it the one to save
  std::vector<std::uint8_t> saved;
  EBM_CHECK_CUDNN(graph_->serialize(saved, false));
  return saved;
}

std::size_t CudnnPlan::workspace_bytes() const {
  return static_cast<std::size_t>(graph_->get_workspace_size_plan_at_index(index_));
}

void CudnnPlan::run(const CudnnHandle& handle,
                    const std::unordered_map<std::int64_t, const void*>& tensors,
                    void* workspace) const {
  std::unordered_map<std::int64_t, void*> arguments;
  for (const auto& [name, values] : tensors) {
    arguments.emplace(name, const_cast<void*>(values));  // cuDNN's pointers are for in and out
  }
  EBM_CHECK_CUDNN(graph_->execute_plan_at_index(handle.get(), arguments, workspace, index_));
}

}  // namespace ebm

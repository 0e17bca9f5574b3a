#include "cuda/nn/cudnn_plan.h"

#include <exception>

#include "cuda/device/cudnn_status.h"

namespace ebm {
namespace {

namespace fe = cudnn_frontend;

std::vector<fe::NumericalNote_t> unwanted(Precision precision) {
  using enum fe::NumericalNote_t;
  if (precision == Precision::fp32) {
    return {NONDETERMINISTIC,
            REDUCED_PRECISION_REDUCTION,
            TENSOR_CORE,
            DOWN_CONVERT_INPUTS,
            FFT,
            WINOGRAD_TILE_4x4,
            WINOGRAD_TILE_6x6,
            WINOGRAD_TILE_13x13};
  }
  return {NONDETERMINISTIC, REDUCED_PRECISION_REDUCTION};
}

}  // namespace

bool propose_plans(fe::graph::Graph& graph, cudnnContext* handle, Precision precision) {
  // A CudaGraph's launches would take longer if it owned the plans of what it captured.
  graph.set_cuda_graph_retention(fe::CudaGraphRetention_t::NONE);
  EBM_CHECK_CUDNN(graph.validate());
  EBM_CHECK_CUDNN(graph.build_operation_graph(handle));
  if (graph.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}).is_bad()) {
    return false;
  }
  graph.deselect_numeric_notes(unwanted(precision));
  graph.deselect_workspace_greater_than(CudnnConvolution::kLargestWorkspace);
  return graph.get_execution_plan_count() > 0;
}

std::vector<CudnnPlan> CudnnPlan::candidates(const CudnnHandle& handle, const CudnnGraph& graph,
                                             Precision precision, std::size_t most) {
  std::vector<CudnnPlan> plans;
  if (!propose_plans(*graph, handle.get(), precision)) {
    return plans;
  }
  const std::int64_t proposed = graph->get_execution_plan_count();
  for (std::int64_t index = 0; index < proposed && plans.size() < most; ++index) {
    if (graph->build_plan_at_index(index).is_good()) {
      plans.push_back(CudnnPlan(graph, index));
    }
  }
  return plans;
}

std::optional<CudnnPlan> CudnnPlan::restore(const CudnnHandle& handle,
                                            const std::vector<std::uint8_t>& saved) {
  auto graph = std::make_shared<fe::graph::Graph>();
  graph->set_cuda_graph_retention(fe::CudaGraphRetention_t::NONE);
  try {
    if (graph->deserialize(handle.get(), saved, false, false).is_good()) {
      return CudnnPlan(std::move(graph), 0);
    }
  } catch (const std::exception&) {  // not what this cudnn_frontend writes
  }
  return std::nullopt;
}

std::vector<std::uint8_t> CudnnPlan::save() const {
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

#include "host/training/environment.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <omp.h>
#include <png.h>
#include <spdlog/version.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "host/config/config.h"
#include "host/training/revision.h"

namespace ebm {
namespace {

/// The processor as Linux names it.
std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      return line.substr(line.find(':') + 2);
    }
  }
  return "unknown";
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

std::string instruction_set() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      return "SSE4.1";
    case dnnl::cpu_isa::avx:
      return "AVX";
    case dnnl::cpu_isa::avx2:
    case dnnl::cpu_isa::avx2_vnni:
      return "AVX2";
    default:
      return dnnl::get_effective_cpu_isa() == dnnl::cpu_isa::all ? "none" : "AVX-512";
  }
}

}  // namespace

std::string version() { return fmt::format("ebm {} ({})", EBM_VERSION, revision()); }

std::string describe_environment(std::span<const char* const> command_line,
                                 const ComputeDevice& device) {
  const dnnl_version_t* dnnl = dnnl_version();
  const std::vector<std::string> arguments(command_line.begin(), command_line.end());
  const nlohmann::ordered_json json = {
      {"version", EBM_VERSION},
      {"git_revision", revision()},
      {"started", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
      {"command_line", arguments},
      {"device", device.on_cuda ? device.name : "cpu"},
      {"precision", to_string(device.precision)},
      {"processor", processor()},
      {"instruction_set", instruction_set()},
      {"threads", omp_get_max_threads()},
      {"host", host_name()},
      {"compiler", __VERSION__},
      {"libraries",
       {{"oneDNN", fmt::format("{}.{}.{}", dnnl->major, dnnl->minor, dnnl->patch)},
        {"OpenMP", _OPENMP},
        {"libpng", png_get_libpng_ver(nullptr)},
        {"zlib", zlibVersion()},
        {"fmt", FMT_VERSION},
        {"spdlog", SPDLOG_VERSION}}}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace ebm

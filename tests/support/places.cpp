#include "tests/support/places.h"

#include <cstdlib>

namespace ebm {
namespace {

std::filesystem::path place(const char* variable, const char* of_the_build) {
  const char* const value = std::getenv(variable);
  return value != nullptr ? value : of_the_build;
}

}  // namespace

std::filesystem::path test_data() { return place("EBM_TEST_DATA", EBM_TEST_DATA); }

std::filesystem::path shipped_configs() { return place("EBM_CONFIGS", EBM_CONFIGS); }

std::string program_path(const std::string& program) {
  return (place("EBM_PROGRAMS", EBM_PROGRAMS) / program).string();
}

}  // namespace ebm

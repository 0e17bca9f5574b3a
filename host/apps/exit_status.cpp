#include "host/apps/exit_status.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>

#include "cuda/base/errors.h"
#include "cuda/base/openmp_threads.h"

namespace ebm {

int run_program(const char* name, char* const* argv, const std::function<int()>& body) {
  set_up_openmp(argv);
  const auto fail = [name](int status, const char* reason) {
    fmt::print(stderr, "{}: {}\n", name, reason);
    return status;
  };
  // A file size limit (ulimit -f) then fails a write as a full disk does, instead of killing us.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return body();
  } catch (const ConfigurationError& error) {
    return fail(2, error.what());
  } catch (const InputFileError& error) {
    return fail(3, error.what());
  } catch (const Divergence& error) {
    return fail(4, error.what());
  } catch (const std::bad_alloc&) {
    return fail(1, "not enough memory");
  } catch (const std::exception& error) {
    return fail(1, error.what());
  }
}

}  // namespace ebm

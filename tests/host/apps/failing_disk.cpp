// A disk that fails: preloaded into a program (LD_PRELOAD), it makes the n-th change to a file
// below a folder fail, and every later one, or kills the program in the middle of it.
//
//   EBM_DISK_FOLDER   the folder
//   EBM_DISK_CHANGE   n, from 1
//   EBM_DISK_HOW      full (ENOSPC), readonly (EROFS) or kill
//   EBM_DISK_COUNT    a file outside that gets the number of changes, when the program exits

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

std::string_view setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

const std::string_view g_folder = setting("EBM_DISK_FOLDER");
const long g_failing = std::atol(setting("EBM_DISK_CHANGE").data());
const std::string_view g_how = setting("EBM_DISK_HOW");
std::atomic<long> g_changes{0};

struct WriteCount {
  ~WriteCount() {
    if (const std::string_view path = setting("EBM_DISK_COUNT"); !path.empty()) {
      if (FILE* file = std::fopen(path.data(), "w")) {
        std::fprintf(file, "%ld\n", g_changes.load());
        std::fclose(file);
      }
    }
  }
} g_write_count;

bool is_below(std::string_view path) {
  return !g_folder.empty() && path.starts_with(g_folder) &&
         !path.substr(g_folder.size()).starts_with("/log.txt");
}

bool is_below(int file) {
  char link[64];
  char path[PATH_MAX];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t size = ::readlink(link, path, sizeof path);
  return size > 0 && is_below(std::string_view(path, static_cast<std::size_t>(size)));
}

/// The next function of this name, which is the C library's.
template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

/// Counts a change. Returns whether it must fail, with errno set; may not return at all.
template <class Half>
bool must_fail(const Half& do_half_of_it) {
  const long change = ++g_changes;
  if (g_failing == 0 || change < g_failing) {
    return false;
  }
  if (g_how == "kill") {
    do_half_of_it();
    ::kill(::getpid(), SIGKILL);
  }
  errno = g_how == "readonly" ? EROFS : ENOSPC;
  return true;
}

bool must_fail() {
  return must_fail([] {});
}

int open_or_fail(const char* name, const char* path, int flags, mode_t mode) {
  constexpr int kWrites = O_WRONLY | O_RDWR;
  if ((flags & kWrites) != 0 && is_below(path) && must_fail()) {
    return -1;
  }
  return next<int(const char*, int, mode_t)>(name)(path, flags, mode);
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_or_fail("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_or_fail("open64", path, flags, mode);
}

ssize_t write(int file, const void* bytes, size_t size) {
  static auto* const real = next<ssize_t(int, const void*, size_t)>("write");
  if (is_below(file) && must_fail([&] { real(file, bytes, size / 2); })) {
    return -1;
  }
  return real(file, bytes, size);
}

int fsync(int file) {
  static auto* const real = next<int(int)>("fsync");
  return is_below(file) && must_fail() ? -1 : real(file);
}

int ftruncate(int file, off_t size) noexcept {
  static auto* const real = next<int(int, off_t)>("ftruncate");
  return is_below(file) && g_how != "full" && must_fail() ? -1 : real(file, size);
}

int rename(const char* from, const char* to) noexcept {
  static auto* const real = next<int(const char*, const char*)>("rename");
  return is_below(to) && must_fail() ? -1 : real(from, to);
}

int mkdir(const char* path, mode_t mode) noexcept {
  static auto* const real = next<int(const char*, mode_t)>("mkdir");
  return is_below(path) && must_fail() ? -1 : real(path, mode);
}

int unlink(const char* path) noexcept {
  static auto* const real = next<int(const char*)>("unlink");
  return is_below(path) && g_how != "full" && must_fail() ? -1 : real(path);
}
}

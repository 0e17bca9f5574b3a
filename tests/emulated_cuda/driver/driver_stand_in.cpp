// A libcuda.so.1 for a machine without a GPU, just enough of one that cuDNN can finish a plan whose
// kernel it compiles at run time: it wants the driver to load the kernel, and asks for no more
// before the plan is run. Loading "succeeds" here; everything that would need a GPU is refused.
// Names and values are those of NVIDIA's "CUDA Driver API" reference manual.

#include <cstddef>

namespace {

constexpr int kSuccess = 0;       // CUDA_SUCCESS
constexpr int kStubLibrary = 34;  // CUDA_ERROR_STUB_LIBRARY
constexpr int kNotFound = 500;    // CUDA_ERROR_NOT_FOUND

// What handles point to, so that no two kinds are the same and none is null.
char library;
char kernel;
char function;
char module_;

template <class Handle>
int give(Handle* where, char& object) {
  *where = &object;
  return kSuccess;
}

}  // namespace

extern "C" {

int cuInit(unsigned) { return kSuccess; }
int cuDriverGetVersion(int* version) {
  *version = EBM_CUDA_VERSION;
  return kSuccess;
}
int cuDeviceGetCount(int*) { return kStubLibrary; }
int cuGetErrorString(int error, const char** text) {
  *text = error == kSuccess ? "no error" : "there is no GPU, only a stand-in for its driver";
  return kSuccess;
}
int cuGetErrorName(int error, const char** name) {
  *name = error == kSuccess ? "CUDA_SUCCESS" : "CUDA_ERROR_STUB_LIBRARY";
  return kSuccess;
}

int cuLibraryLoadData(void** handle, const void*, int*, void**, unsigned, int*, void**, unsigned) {
  return give(handle, library);
}
int cuLibraryUnload(void*) { return kSuccess; }
int cuLibraryGetKernel(void** handle, void*, const char*) { return give(handle, kernel); }
int cuLibraryGetKernelCount(unsigned* count, void*) {
  *count = 1;
  return kSuccess;
}
int cuLibraryEnumerateKernels(void** kernels, unsigned count, void*) {
  for (unsigned i = 0; i < count; ++i) {
    give(&kernels[i], kernel);
  }
  return kSuccess;
}
int cuLibraryGetModule(void** handle, void*) { return give(handle, module_); }
int cuLibraryGetGlobal(void**, std::size_t*, void*, const char*) { return kNotFound; }
int cuModuleGetGlobal_v2(void**, std::size_t*, void*, const char*) { return kNotFound; }
int cuKernelGetFunction(void** handle, void*) { return give(handle, function); }
int cuKernelSetAttribute(int, int, void*, int) { return kSuccess; }
int cuKernelGetAttribute(int* value, int, void*, int) {
  *value = 0;
  return kSuccess;
}
int cuFuncSetAttribute(void*, int, int) { return kSuccess; }
int cuFuncGetAttribute(int* value, int, void*) {
  *value = 0;
  return kSuccess;
}
int cuModuleLoadData(void** handle, const void*) { return give(handle, module_); }
int cuModuleLoadDataEx(void** handle, const void*, unsigned, int*, void**) {
  return give(handle, module_);
}
int cuModuleUnload(void*) { return kSuccess; }
int cuModuleGetFunction(void** handle, void*, const char*) { return give(handle, function); }

}  // extern "C"

// Marks a function as part of a kernel's arithmetic: compiled for the GPU by nvcc, and for the CPU
// by any C++ compiler. The only macro kernels need.
#pragma once

#ifdef __CUDACC__
#define EBM_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define EBM_HOST_DEVICE inline __attribute__((always_inline))
#endif

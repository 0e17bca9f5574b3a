// Compiles a CPU launcher's inner loop for several vector widths; the loader picks the widest the
// machine has, so a binary built on one x86-64 machine runs, and runs fast, on another.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define EBM_CPU_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EBM_CPU_CLONES
#endif

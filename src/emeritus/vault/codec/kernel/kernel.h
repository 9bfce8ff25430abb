/* What every part of the kernel shares. Each part is one file: its functions, and a table of its Python methods.
 *
 * All of it decodes hostile input: every length is checked before it is used, and nothing is written outside the
 * buffers given. No part keeps state; the GIL is released around every loop over data.
 */
#ifndef EMERITUS_KERNEL_H
#define EMERITUS_KERNEL_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The instruction sets a function may be written for, from slowest to fastest. Every set gives identical bytes. */
enum level { LEVEL_SCALAR = 0, LEVEL_NEON = 1, LEVEL_AVX2 = 2, LEVEL_AVX512 = 3 };

enum level kernel_level(void); /* the fastest this machine has, or the one `limit` chose below it */

#if defined(__x86_64__)
#define TARGET_AVX2 __attribute__((target("avx2,bmi2")))
#define TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,gfni,bmi2")))
#endif

#endif

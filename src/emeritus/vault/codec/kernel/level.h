/* The instruction sets a function may be written for, and which is in use. Knows no Python: fuzzers and harnesses link it. */
#ifndef EMERITUS_LEVEL_H
#define EMERITUS_LEVEL_H

/* From slowest to fastest. Every set gives identical bytes. */
enum level { LEVEL_SCALAR = 0, LEVEL_NEON = 1, LEVEL_AVX2 = 2, LEVEL_AVX512 = 3 };

enum level kernel_level(void); /* the fastest this machine has, or the one `kernel_limit` chose below it */
void kernel_limit(enum level level);

#if defined(__x86_64__)
#define TARGET_AVX2 __attribute__((target("avx2,bmi2,popcnt")))
#define TARGET_AVX512 \
    __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,gfni,bmi2,popcnt")))
#endif

#endif

/* Which instruction set the machine has, asked once, and the limit that tests and benchmarks may set below it. */
#include "level.h"

static enum level limited = LEVEL_AVX512;

static enum level detect(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
        __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("gfni") && __builtin_cpu_supports("bmi2"))
        return LEVEL_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
        return LEVEL_AVX2;
    return LEVEL_SCALAR;
#elif defined(__aarch64__)
    return LEVEL_NEON;
#else
    return LEVEL_SCALAR;
#endif
}

enum level kernel_level(void)
{
    static int known = -1; /* threads that race find the same */
    int found = known;
    if (found < 0)
        known = found = (int)detect();
    return found < (int)limited ? (enum level)found : limited;
}

void kernel_limit(enum level level)
{
    limited = level;
}

/* The loops of planes.h: plain C that the compiler turns into vectors, once for any machine and once for AVX2. */
#include "planes.h"

#include <string.h>

#include "level.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Numbers are loaded as they lie in memory, low byte first. Without the kernel NumPy does the work."
#endif

#define INLINE __attribute__((always_inline)) static inline

/* A loop for each width, `plane` a constant where it is inlined. */
#define SPLIT(type)                                                                                                \
    INLINE void split_##type(const uint8_t *data, size_t count, const int plane, uint8_t *restrict out)            \
    {                                                                                                              \
        const int bits = 8 * sizeof(type);                                                                         \
        for (size_t at = 0; at < count; at++) {                                                                    \
            type number;                                                                                           \
            memcpy(&number, data + at * sizeof number, sizeof number);                                             \
            if (8 * plane < bits - 16)                                                                             \
                out[at] = (uint8_t)(number >> 8 * plane);                                                          \
            else if (8 * plane == bits - 8)                                                                        \
                out[at] = (uint8_t)(number >> (bits - 9));                                                         \
            else                                                                                                   \
                out[at] = (uint8_t)((number >> (bits - 8) & 0x80) | (number >> (bits - 16) & 0x7f));               \
        }                                                                                                          \
    }
SPLIT(uint16_t)
SPLIT(uint32_t)
SPLIT(uint64_t)

/* Every layout and plane as constants, so that each becomes a loop of its own. */
INLINE void split_any(const uint8_t *data, size_t count, int layout, int plane, uint8_t *out)
{
#define CASE(type, its_plane)                             \
    case 8 * sizeof(type) + its_plane:                    \
        split_##type(data, count, its_plane, out);        \
        break
    switch (8 * layout + plane) {
        CASE(uint16_t, 0); CASE(uint16_t, 1);
        CASE(uint32_t, 0); CASE(uint32_t, 1); CASE(uint32_t, 2); CASE(uint32_t, 3);
        CASE(uint64_t, 0); CASE(uint64_t, 1); CASE(uint64_t, 2); CASE(uint64_t, 3);
        CASE(uint64_t, 4); CASE(uint64_t, 5); CASE(uint64_t, 6); CASE(uint64_t, 7);
    default:
        memcpy(out, data, count);
    }
}

INLINE void merge(const uint8_t *const *from, size_t count, const int layout, uint8_t *restrict out)
{
    const uint8_t *rest = from[layout - 2], *symbols = from[layout - 1];
    for (size_t at = 0; at < count; at++) {
        uint64_t top = (uint64_t)((rest[at] & 0x80u) << 8 | (uint32_t)symbols[at] << 7 | (rest[at] & 0x7fu));
        uint64_t number = top << (8 * layout - 16);
        for (int plane = 0; plane < layout - 2; plane++)
            number |= (uint64_t)from[plane][at] << 8 * plane;
        if (layout == 2) {
            uint16_t narrow = (uint16_t)number;
            memcpy(out + 2 * at, &narrow, 2);
        } else if (layout == 4) {
            uint32_t narrow = (uint32_t)number;
            memcpy(out + 4 * at, &narrow, 4);
        } else {
            memcpy(out + 8 * at, &number, 8);
        }
    }
}

INLINE void merge_any(const uint8_t *const *from, size_t count, int layout, uint8_t *out)
{
    if (layout == 2)
        merge(from, count, 2, out);
    else if (layout == 4)
        merge(from, count, 4, out);
    else
        merge(from, count, 8, out);
}

#if defined(__x86_64__)
TARGET_AVX2 static void split_avx2(const uint8_t *data, size_t count, int layout, int plane, uint8_t *out)
{
    split_any(data, count, layout, plane, out);
}

TARGET_AVX2 static void merge_avx2(const uint8_t *const *from, size_t count, int layout, uint8_t *out)
{
    merge_any(from, count, layout, out);
}
#endif

void planes_split(const uint8_t *data, size_t count, int layout, int plane, uint8_t *out)
{
#if defined(__x86_64__)
    if (kernel_level() >= LEVEL_AVX2) {
        split_avx2(data, count, layout, plane, out);
        return;
    }
#endif
    split_any(data, count, layout, plane, out);
}

void planes_merge(const uint8_t *const from[PLANES_MOST], size_t count, int layout, uint8_t *out)
{
#if defined(__x86_64__)
    if (kernel_level() >= LEVEL_AVX2) {
        merge_avx2(from, count, layout, out);
        return;
    }
#endif
    merge_any(from, count, layout, out);
}

/* Sums of products over GF(2^8) with the polynomial x^8 + x^4 + x^3 + x + 1 (0x11B), over whole buffers: what encoding
 * and repairing with Reed-Solomon parity both are. Knows no matrix's meaning and no packs; see docs/format.md.
 *
 * AVX-512 multiplies by gf2p8mulb, whose field this is; AVX2 and NEON look up nibbles; the twin is in reed_solomon.py.
 */
#include "reed_solomon.h"

#include <string.h>

#include "level.h"

enum { STRIP = FIELD_STRIP, WIDTH = FIELD_WIDTH, MOST = FIELD_MOST, ROWS = FIELD_ROWS };
typedef field_factor factor;

/* targets[r] (+)= sum over c of factors[r * columns + c] * sources[c], for `length` bytes, a multiple of WIDTH. */
typedef void combiner(const factor *factors, size_t columns, const uint8_t *const *sources, uint8_t *const *targets,
                      size_t rows, size_t stride, size_t length, int add);

static uint8_t product(uint8_t left, uint8_t right)
{
    unsigned result = 0, shifted = left;
    for (; right; right >>= 1, shifted = (shifted << 1) ^ (shifted & 0x80 ? 0x11B : 0))
        if (right & 1)
            result ^= shifted;
    return (uint8_t)result;
}

static void prepare(factor *out, uint8_t coefficient, enum level level)
{
    if (level == LEVEL_AVX512) {
        memset(out->bytes, coefficient, WIDTH);
        return;
    }
    for (unsigned nibble = 0; nibble < 16; nibble++) {
        out->bytes[nibble] = product(coefficient, (uint8_t)nibble);
        out->bytes[16 + nibble] = product(coefficient, (uint8_t)(nibble << 4));
    }
}

static void combine_scalar(const factor *factors, size_t columns, const uint8_t *const *sources,
                           uint8_t *const *targets, size_t rows, size_t stride, size_t length, int add)
{
    for (size_t row = 0; row < rows; row++) {
        uint8_t *target = targets[row];
        if (!add)
            memset(target, 0, length);
        for (size_t column = 0; column < columns; column++) {
            const uint8_t *low = factors[row * stride + column].bytes, *high = low + 16, *source = sources[column];
            for (size_t at = 0; at < length; at++)
                target[at] ^= low[source[at] & 15] ^ high[source[at] >> 4];
        }
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

/* `rows` is a constant where it is called, so that the sums stay in registers. */
#define SUMS_AVX512(rows)                                                                                             \
    for (size_t at = 0; at < length; at += 2 * WIDTH) {                                                               \
        __m512i sums[rows][2];                                                                                        \
        for (int row = 0; row < rows; row++)                                                                          \
            for (int half = 0; half < 2; half++)                                                                      \
                sums[row][half] = add ? _mm512_loadu_si512(targets[row] + at + WIDTH * half) : _mm512_setzero_si512(); \
        for (size_t column = 0; column < columns; column++) {                                                         \
            __m512i first = _mm512_loadu_si512(sources[column] + at);                                                 \
            __m512i second = _mm512_loadu_si512(sources[column] + at + WIDTH);                                        \
            for (int row = 0; row < rows; row++) {                                                                    \
                __m512i by = _mm512_loadu_si512(factors[row * stride + column].bytes);                                \
                sums[row][0] = _mm512_xor_si512(sums[row][0], _mm512_gf2p8mul_epi8(first, by));                       \
                sums[row][1] = _mm512_xor_si512(sums[row][1], _mm512_gf2p8mul_epi8(second, by));                      \
            }                                                                                                         \
        }                                                                                                             \
        for (int row = 0; row < rows; row++)                                                                          \
            for (int half = 0; half < 2; half++)                                                                      \
                _mm512_storeu_si512(targets[row] + at + WIDTH * half, sums[row][half]);                               \
    }

TARGET_AVX512 static void combine_avx512(const factor *factors, size_t columns, const uint8_t *const *sources,
                                         uint8_t *const *targets, size_t rows, size_t stride, size_t length, int add)
{
    switch (rows) {
    case 1: SUMS_AVX512(1) break;
    case 2: SUMS_AVX512(2) break;
    case 3: SUMS_AVX512(3) break;
    default: SUMS_AVX512(4) break;
    }
}

#define SUMS_AVX2(rows)                                                                                               \
    for (size_t at = 0; at < length; at += 32) {                                                                      \
        __m256i sums[rows];                                                                                           \
        for (int row = 0; row < rows; row++)                                                                          \
            sums[row] = add ? _mm256_loadu_si256((const __m256i *)(targets[row] + at)) : _mm256_setzero_si256();      \
        for (size_t column = 0; column < columns; column++) {                                                         \
            __m256i data = _mm256_loadu_si256((const __m256i *)(sources[column] + at));                               \
            __m256i low = _mm256_and_si256(data, nibble);                                                             \
            __m256i high = _mm256_and_si256(_mm256_srli_epi16(data, 4), nibble);                                      \
            for (int row = 0; row < rows; row++) {                                                                    \
                const __m128i *by = (const __m128i *)factors[row * stride + column].bytes;                            \
                __m256i lows = _mm256_broadcastsi128_si256(_mm_loadu_si128(by));                                      \
                __m256i highs = _mm256_broadcastsi128_si256(_mm_loadu_si128(by + 1));                                 \
                sums[row] = _mm256_xor_si256(sums[row], _mm256_xor_si256(_mm256_shuffle_epi8(lows, low),              \
                                                                         _mm256_shuffle_epi8(highs, high)));          \
            }                                                                                                         \
        }                                                                                                             \
        for (int row = 0; row < rows; row++)                                                                          \
            _mm256_storeu_si256((__m256i *)(targets[row] + at), sums[row]);                                           \
    }

TARGET_AVX2 static void combine_avx2(const factor *factors, size_t columns, const uint8_t *const *sources,
                                     uint8_t *const *targets, size_t rows, size_t stride, size_t length, int add)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    switch (rows) {
    case 1: SUMS_AVX2(1) break;
    case 2: SUMS_AVX2(2) break;
    case 3: SUMS_AVX2(3) break;
    default: SUMS_AVX2(4) break;
    }
}
#endif

#if defined(__aarch64__)
#include <arm_neon.h>

static void combine_neon(const factor *factors, size_t columns, const uint8_t *const *sources, uint8_t *const *targets,
                         size_t rows, size_t stride, size_t length, int add)
{
    const uint8x16_t nibble = vdupq_n_u8(15);
    for (size_t at = 0; at < length; at += 16) {
        uint8x16_t sums[ROWS];
        for (size_t row = 0; row < rows; row++)
            sums[row] = add ? vld1q_u8(targets[row] + at) : vdupq_n_u8(0);
        for (size_t column = 0; column < columns; column++) {
            uint8x16_t data = vld1q_u8(sources[column] + at);
            uint8x16_t low = vandq_u8(data, nibble), high = vshrq_n_u8(data, 4);
            for (size_t row = 0; row < rows; row++) {
                const uint8_t *by = factors[row * stride + column].bytes;
                sums[row] = veorq_u8(sums[row], veorq_u8(vqtbl1q_u8(vld1q_u8(by), low), vqtbl1q_u8(vld1q_u8(by + 16), high)));
            }
        }
        for (size_t row = 0; row < rows; row++)
            vst1q_u8(targets[row] + at, sums[row]);
    }
}
#endif

static combiner *chosen(enum level level)
{
#if defined(__x86_64__)
    if (level == LEVEL_AVX512)
        return combine_avx512;
    if (level == LEVEL_AVX2)
        return combine_avx2;
#elif defined(__aarch64__)
    if (level == LEVEL_NEON)
        return combine_neon;
#endif
    return combine_scalar;
}

/* A source ends before a target does: what lies behind its end counts as zeros. */
void field_combine(const struct field_work *all, int add)
{
    enum level level = kernel_level();
    const uint8_t *sources[MOST];
    uint8_t *targets[ROWS];
    combiner *combine = chosen(level);
    for (size_t each = 0; each < all->columns * all->rows; each++)
        prepare(&all->factors[each], all->matrix[each], level);
    for (size_t begin = 0; begin < all->length; begin += STRIP) {
        size_t here = all->length - begin < STRIP ? all->length - begin : STRIP;
        size_t padded = (here + 2 * WIDTH - 1) / (2 * WIDTH) * (2 * WIDTH);
        for (size_t column = 0; column < all->columns; column++) {
            const struct field_source *source = &all->sources[column];
            size_t left = source->length > begin ? source->length - begin : 0;
            if (left >= padded) {
                sources[column] = source->data + begin;
                continue;
            }
            uint8_t *copy = all->spare + STRIP * column;
            size_t held = left < here ? left : here;
            if (held)
                memcpy(copy, source->data + begin, held);
            memset(copy + held, 0, padded - held);
            sources[column] = copy;
        }
        for (size_t row = 0; row < all->rows; row += ROWS) {
            size_t rows = all->rows - row < ROWS ? all->rows - row : ROWS;
            for (size_t each = 0; each < rows; each++) {
                uint8_t *target = all->targets[row + each] + begin;
                targets[each] = padded == here ? target : all->spare + STRIP * (all->columns + each);
                if (padded != here && add) {
                    memcpy(targets[each], target, here);
                    memset(targets[each] + here, 0, padded - here);
                }
            }
            combine(all->factors + row * all->columns, all->columns, sources, targets, rows, all->columns, padded, add);
            for (size_t each = 0; padded != here && each < rows; each++)
                memcpy(all->targets[row + each] + begin, targets[each], here);
        }
    }
}

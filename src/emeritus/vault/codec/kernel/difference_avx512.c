/* The difference codec's decoder for 16-bit numbers by AVX-512: 16 lanes a vector. See difference.h. */
#include "difference.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi2")))
#define ENTRY (DIFFERENCE_TOTAL - 1)
#define VECTORS (DIFFERENCE_LANES / 16)

/* Where a state fell below 2^16, the next words, in the order of the lanes. */
TARGET static inline __m512i fill_up(__m512i x, __mmask16 low, const uint8_t **words)
{
    __m512i next = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)*words));
    *words += 2 * (size_t)__builtin_popcount(low);
    return _mm512_mask_or_epi32(x, low, _mm512_slli_epi32(x, 16), _mm512_maskz_expand_epi32(low, next));
}

TARGET static inline __m512i decode_tokens(const uint32_t *decoding, __m512i places, __m512i *x, const uint8_t **words)
{
    const __m512i low_bits = _mm512_set1_epi32(ENTRY), least = _mm512_set1_epi32(0x10000);
    __m512i at = _mm512_add_epi32(places, _mm512_and_si512(*x, low_bits));
    __m512i entry = _mm512_i32gather_epi32(at, decoding, 4);
    __m512i frequency =
        _mm512_add_epi32(_mm512_and_si512(_mm512_srli_epi32(entry, DIFFERENCE_BITS), low_bits), _mm512_set1_epi32(1));
    __m512i state = _mm512_add_epi32(_mm512_mullo_epi32(frequency, _mm512_srli_epi32(*x, DIFFERENCE_BITS)),
                                     _mm512_and_si512(entry, low_bits));
    *x = fill_up(state, _mm512_cmplt_epu32_mask(state, least), words);
    return _mm512_srli_epi32(entry, 24);
}

TARGET static inline __m512i add_raw(__m512i values, __m512i raws, __m512i *x, const uint8_t **words)
{
    const __m512i least = _mm512_set1_epi32(0x10000), one = _mm512_set1_epi32(1);
    __m512i bits = _mm512_and_si512(*x, _mm512_sub_epi32(_mm512_sllv_epi32(one, raws), one));
    __m512i state = _mm512_srlv_epi32(*x, raws);
    *x = fill_up(state, _mm512_cmplt_epu32_mask(state, least), words);
    return _mm512_add_epi32(values, bits);
}

/* difference_number for 16 lanes; every lane holds a 16-bit number in 32 bits. */
TARGET static inline __m256i number(__m512i base, __m512i value)
{
    const __m512i one = _mm512_set1_epi32(1);
    __m512i wide = _mm512_srai_epi32(_mm512_slli_epi32(base, 16), 16);
    __m512i sign = _mm512_srai_epi32(wide, 31);
    __m512i order = _mm512_xor_si512(wide, _mm512_srli_epi32(sign, 17));
    __m512i steps = _mm512_xor_si512(_mm512_srli_epi32(value, 1),
                                     _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_and_si512(value, one)));
    steps = _mm512_sub_epi32(_mm512_xor_si512(steps, sign), sign);
    __m512i place = _mm512_srai_epi32(_mm512_slli_epi32(_mm512_add_epi32(order, steps), 16), 16);
    __m512i back = _mm512_xor_si512(place, _mm512_srli_epi32(_mm512_srai_epi32(place, 31), 17));
    return _mm512_cvtepi32_epi16(back);
}

#define EACH _Pragma("GCC unroll 8") for (int v = 0; v < VECTORS; v++)

TARGET size_t difference_decode_avx512(const struct difference_plan *plan, const uint8_t *base, uint8_t *out,
                                       size_t rows, uint32_t *states, const uint8_t **words, const uint8_t *end)
{
    const __m512i exponent = _mm512_set1_epi32(255), place_bits = _mm512_set1_epi32(0x7fffffff);
    const __m512i direct = _mm512_set1_epi32(1 << DIFFERENCE_DIRECT), second = _mm512_set1_epi32(256);
    const uint8_t *from = *words;
    __m512i x[VECTORS];
    size_t row = 0;
    EACH x[v] = _mm512_loadu_si512(states + 16 * v);
    for (; row < rows && (size_t)(end - from) >= 2 * DIFFERENCE_MOST; row++) {
        __m512i bases[VECTORS], values[VECTORS];
        __mmask16 kinds[VECTORS], any = 0;
        EACH {
            bases[v] = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(base + 32 * v)));
            __m512i at = _mm512_and_si512(_mm512_srli_epi32(bases[v], 7), exponent);
            __m512i places = _mm512_i32gather_epi32(at, plan->places, 4);
            kinds[v] = _mm512_movepi32_mask(places);
            values[v] = decode_tokens(plan->decoding, _mm512_and_si512(places, place_bits), &x[v], &from);
            any |= kinds[v] | _mm512_cmpge_epu32_mask(values[v], direct);
        }
        if (any) {
            __m512i raws[VECTORS];
            EACH {
                __m512i token = _mm512_mask_or_epi32(values[v], kinds[v], values[v], second);
                values[v] = _mm512_i32gather_epi32(token, plan->tokens, 4);
                raws[v] = _mm512_i32gather_epi32(token, plan->raws, 4);
                bases[v] = _mm512_maskz_mov_epi32((__mmask16)~kinds[v], bases[v]);
            }
            EACH values[v] = add_raw(values[v], raws[v], &x[v], &from);
        }
        EACH _mm256_storeu_si256((__m256i *)(out + 32 * v), number(bases[v], values[v]));
        base += 2 * DIFFERENCE_LANES;
        out += 2 * DIFFERENCE_LANES;
    }
    EACH _mm512_storeu_si512(states + 16 * v, x[v]);
    *words = from;
    return row;
}
#else
typedef int nothing_here; /* ISO C wants a declaration in every file */
#endif

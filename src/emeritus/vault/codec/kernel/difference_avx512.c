/* The difference codec for 16-bit numbers by AVX-512: whole rows, 16 lanes a vector, and tokens to be counted.
 * See difference.h. */
#include "difference.h"
#include "level.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define ENTRY (DIFFERENCE_TOTAL - 1)
#define VECTORS (DIFFERENCE_LANES / 16)

/* Where a state fell below 2^16, the next words, in the order of the lanes. */
TARGET_AVX512 static inline __m512i fill_up(__m512i x, __mmask16 low, const uint8_t **words)
{
    __m512i next = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)*words));
    *words += 2 * (size_t)__builtin_popcount(low);
    return _mm512_mask_or_epi32(x, low, _mm512_slli_epi32(x, 16), _mm512_maskz_expand_epi32(low, next));
}

TARGET_AVX512 static inline __m512i decode_tokens(const uint32_t *decoding, __m512i places, __m512i *x, const uint8_t **words)
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

TARGET_AVX512 static inline __m512i add_raw(__m512i values, __m512i raws, __m512i *x, const uint8_t **words)
{
    const __m512i least = _mm512_set1_epi32(0x10000), one = _mm512_set1_epi32(1);
    __m512i bits = _mm512_and_si512(*x, _mm512_sub_epi32(_mm512_sllv_epi32(one, raws), one));
    __m512i state = _mm512_srlv_epi32(*x, raws);
    *x = fill_up(state, _mm512_cmplt_epu32_mask(state, least), words);
    return _mm512_add_epi32(values, bits);
}

/* difference_order for 16 lanes, and its own inverse; only the lower halves of what is given count. */
TARGET_AVX512 static inline __m512i order(__m512i number)
{
    __m512i wide = _mm512_srai_epi32(_mm512_slli_epi32(number, 16), 16);
    return _mm512_xor_si512(wide, _mm512_srli_epi32(_mm512_srai_epi32(wide, 31), 17));
}

/* difference_number for 16 lanes; every lane holds a 16-bit number in 32 bits. */
TARGET_AVX512 static inline __m256i number(__m512i base, __m512i value)
{
    const __m512i one = _mm512_set1_epi32(1);
    __m512i sign = _mm512_srai_epi32(_mm512_slli_epi32(base, 16), 31);
    __m512i steps = _mm512_xor_si512(_mm512_srli_epi32(value, 1),
                                     _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_and_si512(value, one)));
    steps = _mm512_sub_epi32(_mm512_xor_si512(steps, sign), sign);
    return _mm512_cvtepi32_epi16(order(_mm512_add_epi32(order(base), steps))); /* its own inverse */
}

#define EACH _Pragma("GCC unroll 8") for (int v = 0; v < VECTORS; v++)

TARGET_AVX512 size_t difference_decode_avx512(const struct difference_plan *plan, const uint8_t *base, uint8_t *out,
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
/* Tokens of 16 numbers against their bases, and their raw bits. Where `kinds` is set the base counts as 0. */
struct tokens {
    __m512i value, token, raw;
};

TARGET_AVX512 static inline struct tokens tokens_of(__m512i base, __m512i data, __mmask16 kinds)
{
    const __m512i direct = _mm512_set1_epi32(1 << DIFFERENCE_DIRECT), whole = _mm512_set1_epi32(8);
    struct tokens found;
    base = _mm512_maskz_mov_epi32((__mmask16)~kinds, base);
    __m512i sign = _mm512_srai_epi32(_mm512_slli_epi32(base, 16), 31);
    __m512i steps = _mm512_sub_epi32(order(data), order(base));
    steps = _mm512_slli_epi32(_mm512_sub_epi32(_mm512_xor_si512(steps, sign), sign), 16);
    found.value = _mm512_srli_epi32(
        _mm512_xor_si512(_mm512_slli_epi32(steps, 1), _mm512_srai_epi32(steps, 31)), 16);
    __mmask16 large = _mm512_cmpge_epu32_mask(found.value, direct);
    __m512i octave = _mm512_sub_epi32(_mm512_set1_epi32(31), _mm512_lzcnt_epi32(found.value));
    found.raw = _mm512_maskz_sub_epi32(large, octave, _mm512_set1_epi32(DIFFERENCE_FINE));
    found.raw = _mm512_mask_mov_epi32(found.raw, kinds, whole);
    __m512i high = _mm512_srlv_epi32(found.value, found.raw);
    /* 32 + 8 (octave - 5) + (value >> raw) - 8 */
    __m512i fine = _mm512_add_epi32(_mm512_slli_epi32(octave, DIFFERENCE_FINE), _mm512_sub_epi32(high, _mm512_set1_epi32(16)));
    found.token = _mm512_mask_mov_epi32(high, (__mmask16)(large & ~kinds), fine);
    return found;
}

TARGET_AVX512 void difference_index_avx512(int kind, const uint8_t *base, const uint8_t *data, size_t numbers, uint16_t *places)
{
    const __m512i exponent = _mm512_set1_epi32(255 << 8);
    for (size_t i = 0; i < numbers; i += 16) {
        __m512i from = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(base + 2 * i)));
        __m512i to = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(data + 2 * i)));
        __m512i token = tokens_of(from, to, kind ? 0xffff : 0).token;
        token = _mm512_or_si512(token, _mm512_and_si512(_mm512_slli_epi32(from, 1), exponent));
        _mm256_storeu_si256((__m256i *)(places + i), _mm512_cvtepi32_epi16(token));
    }
}

/* Where `full` is set, write the lower half of a state before the words that stand there; then halve it. */
TARGET_AVX512 static inline __m512i emit(__m512i x, __mmask16 full, uint8_t **at)
{
    unsigned count = (unsigned)__builtin_popcount(full);
    __m256i words = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(full, x));
    *at -= 2 * count;
    _mm256_mask_storeu_epi16(*at, (__mmask16)((1u << count) - 1), words);
    return _mm512_mask_srli_epi32(x, full, x, 16);
}

TARGET_AVX512 static inline __m512i push_raw(__m512i x, __m512i value, __m512i raw, uint8_t **at)
{
    const __m512i all = _mm512_set1_epi32(32), one = _mm512_set1_epi32(1);
    __m512i over = _mm512_srlv_epi32(x, _mm512_sub_epi32(all, raw)); /* a shift by 32 gives 0 */
    x = emit(x, _mm512_test_epi32_mask(over, over), at);
    __m512i bits = _mm512_and_si512(value, _mm512_sub_epi32(_mm512_sllv_epi32(one, raw), one));
    return _mm512_or_si512(_mm512_sllv_epi32(x, raw), bits);
}

TARGET_AVX512 static inline __m512i push_token(__m512i x, __m512i packed, __m512i reciprocal, uint8_t **at)
{
    __m512i frequency = _mm512_and_si512(packed, _mm512_set1_epi32(0xffff));
    x = emit(x, _mm512_cmpge_epu32_mask(_mm512_srli_epi32(x, 32 - DIFFERENCE_BITS), frequency), at);
    __m512i even = _mm512_srli_epi64(_mm512_mul_epu32(x, reciprocal), 32);
    __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(reciprocal, 32));
    __m512i quotient = _mm512_mask_mov_epi32(even, 0xaaaa, odd);
    __m512i rest = _mm512_sub_epi32(x, _mm512_mullo_epi32(quotient, frequency));
    __mmask16 short_by_one = _mm512_cmpge_epu32_mask(rest, frequency);
    quotient = _mm512_mask_add_epi32(quotient, short_by_one, quotient, _mm512_set1_epi32(1));
    rest = _mm512_mask_sub_epi32(rest, short_by_one, rest, frequency);
    rest = _mm512_add_epi32(rest, _mm512_srli_epi32(packed, 16));
    return _mm512_add_epi32(_mm512_slli_epi32(quotient, DIFFERENCE_BITS), rest);
}

TARGET_AVX512 size_t difference_encode_avx512(const struct difference_plan *plan, const uint8_t *base, const uint8_t *data,
                                       size_t rows, uint32_t *states, uint8_t *start, uint8_t **words)
{
    const __m512i exponent = _mm512_set1_epi32(255), place_bits = _mm512_set1_epi32(0x7fffffff);
    const char *table = (const char *)plan->encoding;
    uint8_t *at = *words;
    __m512i x[VECTORS];
    EACH x[v] = _mm512_loadu_si512(states + 16 * v);
    while (rows > 0 && (size_t)(at - start) >= 2 * DIFFERENCE_MOST) {
        struct tokens found[VECTORS];
        __m512i packed[VECTORS], reciprocals[VECTORS];
        __mmask16 none = 0, raws = 0;
        size_t first = 2 * DIFFERENCE_LANES * (rows - 1);
        EACH {
            __m512i from = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(base + first + 32 * v)));
            __m512i to = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(data + first + 32 * v)));
            __m512i places =
                _mm512_i32gather_epi32(_mm512_and_si512(_mm512_srli_epi32(from, 7), exponent), plan->places, 4);
            found[v] = tokens_of(from, to, _mm512_movepi32_mask(places));
            places = _mm512_add_epi32(_mm512_and_si512(places, place_bits), found[v].token);
            packed[v] = _mm512_i32gather_epi32(places, table, 8);
            reciprocals[v] = _mm512_i32gather_epi32(places, table + 4, 8);
            none |= _mm512_testn_epi32_mask(packed[v], _mm512_set1_epi32(0xffff));
            raws |= _mm512_test_epi32_mask(found[v].raw, found[v].raw);
        }
        if (none) /* an escape: the caller's */
            break;
        if (raws)
            for (int v = VECTORS; v-- > 0;)
                x[v] = push_raw(x[v], found[v].value, found[v].raw, &at);
        for (int v = VECTORS; v-- > 0;)
            x[v] = push_token(x[v], packed[v], reciprocals[v], &at);
        rows--;
    }
    EACH _mm512_storeu_si512(states + 16 * v, x[v]);
    *words = at;
    return rows;
}
#else
typedef int nothing_here; /* ISO C wants a declaration in every file */
#endif

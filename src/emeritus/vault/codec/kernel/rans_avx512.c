/* The loops of rans.h for AVX-512 with VBMI2: sixteen lanes to a register. */
#include "rans.h"

#include "level.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <stddef.h>

enum { VECTORS = RANS_LANES / 16 };

/* A gather into a register cleared for it: into any other it waits for whatever that held before, and a compiler that
 * sees a full mask takes any. */
TARGET_AVX512 static inline __m512i look_up(__m512i index, const void *table)
{
    __mmask16 all = 0xffff;
    __asm__("" : "+Yk"(all));
    return _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), all, index, table, 4);
}

/* A step of 32 lanes: their states move on; 32 words whose low bytes are the symbols are given back.
 * One load serves all of them, from where the step begins: a load for each register would wait for the one before. */
TARGET_AVX512 static inline __m512i step(const struct rans_decoder *with, __m512i *x, __m512i *y,
                                          const uint8_t **words)
{
    const __m512i low = _mm512_set1_epi32(RANS_TOTAL - 1), least = _mm512_set1_epi32(RANS_LOW);
    __m512i even = look_up(_mm512_and_si512(*x, low), with->slots);
    __m512i odd = look_up(_mm512_and_si512(*y, low), with->slots);
    *x = _mm512_mullo_epi32(_mm512_srli_epi32(even, 20), _mm512_srli_epi32(*x, RANS_BITS));
    *y = _mm512_mullo_epi32(_mm512_srli_epi32(odd, 20), _mm512_srli_epi32(*y, RANS_BITS));
    *x = _mm512_add_epi32(*x, _mm512_and_si512(_mm512_srli_epi32(even, 8), low));
    *y = _mm512_add_epi32(*y, _mm512_and_si512(_mm512_srli_epi32(odd, 8), low));
    __mmask16 first = _mm512_cmplt_epu32_mask(*x, least), second = _mm512_cmplt_epu32_mask(*y, least);
    __mmask32 both = _mm512_kunpackw(second, first);
    __m512i next = _mm512_maskz_expand_epi16(both, _mm512_loadu_si512(*words));
    *words += 2 * (size_t)_mm_popcnt_u32(_cvtmask32_u32(both));
    __m512i lower = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(next));
    __m512i upper = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(next, 1));
    *x = _mm512_or_si512(_mm512_mask_slli_epi32(*x, first, *x, 16), lower);
    *y = _mm512_or_si512(_mm512_mask_slli_epi32(*y, second, *y, 16), upper);
    return _mm512_mask_blend_epi16(0xaaaaaaaa, even, _mm512_slli_epi32(odd, 16));
}

/* The 32 symbols in the low bytes of words as bytes, or merged with their rest: its outer bits around each symbol. */
TARGET_AVX512 static inline void put(__m512i symbols, const uint8_t *rest, uint8_t *out, const int merge)
{
    if (merge) {
        __m512i around = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)rest));
        around = _mm512_or_si512(around, _mm512_slli_epi16(around, 8));
        symbols = _mm512_slli_epi16(symbols, 7);
        symbols = _mm512_ternarylogic_epi32(_mm512_set1_epi16((short)0x807f), around, symbols, 0xca);
        _mm512_storeu_si512(out, symbols);
    } else {
        _mm256_storeu_si256((__m256i *)out, _mm512_cvtepi16_epi8(symbols));
    }
}

/* One stream, or two in step: one alone waits for its own results most of the time. `two` says whether there are, and
 * `merge` whether they have a rest; both are constants where this is inlined. */
TARGET_AVX512 __attribute__((always_inline)) static inline void run(struct rans_stream *one, struct rans_stream *other,
                                                                    const int two, const int merge)
{
    __m512i a = _mm512_loadu_si512(one->states), b = _mm512_loadu_si512(one->states + 16);
    __m512i c = _mm512_loadu_si512(one->states + 32), d = _mm512_loadu_si512(one->states + 48);
    __m512i e = _mm512_loadu_si512(other->states), f = _mm512_loadu_si512(other->states + 16);
    __m512i g = _mm512_loadu_si512(other->states + 32), h = _mm512_loadu_si512(other->states + 48);
    const uint8_t *words = one->words, *end = one->end - RANS_ROUND, *rest = one->rest;
    const uint8_t *its_words = other->words, *its_end = other->end - RANS_ROUND, *its_rest = other->rest;
    uint8_t *out = one->out, *its_out = other->out;
    const size_t rounds = two && other->rounds < one->rounds ? other->rounds : one->rounds, width = merge ? 64 : 32;
    size_t done = 0;
    for (; done < rounds && words <= end && (!two || its_words <= its_end); done++) {
        put(step(&one->with, &a, &b, &words), rest, out, merge);
        if (two)
            put(step(&other->with, &e, &f, &its_words), its_rest, its_out, merge);
        put(step(&one->with, &c, &d, &words), merge ? rest + 32 : rest, out + width, merge);
        if (two)
            put(step(&other->with, &g, &h, &its_words), merge ? its_rest + 32 : its_rest, its_out + width, merge);
        if (merge) {
            rest += RANS_LANES;
            its_rest += RANS_LANES;
        }
        out += 2 * width;
        its_out += 2 * width;
    }
    _mm512_storeu_si512(one->states, a), _mm512_storeu_si512(one->states + 16, b);
    _mm512_storeu_si512(one->states + 32, c), _mm512_storeu_si512(one->states + 48, d);
    one->words = words;
    rans_advance(one, done);
    if (two) {
        _mm512_storeu_si512(other->states, e), _mm512_storeu_si512(other->states + 16, f);
        _mm512_storeu_si512(other->states + 32, g), _mm512_storeu_si512(other->states + 48, h);
        other->words = its_words;
        rans_advance(other, done);
    }
}

TARGET_AVX512 static void decode(struct rans_stream *one, struct rans_stream *other)
{
    if (other && one->rest)
        run(one, other, 1, 1);
    else if (other)
        run(one, other, 1, 0);
    else if (one->rest)
        run(one, one, 0, 1);
    else
        run(one, one, 0, 0);
}

/* Sixteen lanes take a symbol each, whose frequency and start are packed, and shed a word first where they are full. */
TARGET_AVX512 static inline __m512i take(__m512i x, __m512i packed, __m512 reciprocal, uint8_t **end)
{
    __m512i frequency = _mm512_and_si512(packed, _mm512_set1_epi32(0xffff)), start = _mm512_srli_epi32(packed, 16);
    __mmask16 full = _mm512_cmpge_epu32_mask(x, _mm512_slli_epi32(frequency, 32 - RANS_BITS));
    unsigned count = (unsigned)_mm_popcnt_u32(full);
    *end -= 2 * count;
    __m256i shed = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(full, x));
    _mm256_mask_storeu_epi16(*end, (__mmask16)_bzhi_u32(0xffff, count), shed);
    x = _mm512_mask_srli_epi32(x, full, x, 16);
    __m512 near = _mm512_mul_ps(_mm512_cvtepu32_ps(x), reciprocal);
    __m512i quotient = _mm512_cvttps_epu32(near); /* right, or one too small */
    __m512i left = _mm512_sub_epi32(x, _mm512_mullo_epi32(quotient, frequency));
    __mmask16 small = _mm512_cmpge_epu32_mask(left, frequency);
    quotient = _mm512_mask_add_epi32(quotient, small, quotient, _mm512_set1_epi32(1));
    left = _mm512_mask_sub_epi32(left, small, left, frequency);
    return _mm512_add_epi32(_mm512_slli_epi32(quotient, RANS_BITS), _mm512_add_epi32(left, start));
}

TARGET_AVX512 static inline __m512i take_any(const struct rans_coder *with, __m512i x, __m512i symbols, uint8_t **end)
{
    __m512 reciprocal = _mm512_castsi512_ps(look_up(symbols, with->reciprocal));
    return take(x, look_up(symbols, with->packed), reciprocal, end);
}

/* As many symbols as registers hold the tables of: 0, and 31 neighbours. */
struct few {
    __m512i packed[2];
    __m512 reciprocal[2];
};

TARGET_AVX512 static inline __m512i take_few(const struct few *with, __m512i x, __m512i symbols, uint8_t **end)
{
    __m512 reciprocal = _mm512_permutex2var_ps(with->reciprocal[0], symbols, with->reciprocal[1]);
    return take(x, _mm512_permutex2var_epi32(with->packed[0], symbols, with->packed[1]), reciprocal, end);
}

TARGET_AVX512 static inline void encode_few(const struct rans_coder *with, __m512i *x, const uint8_t *symbols,
                                            size_t rounds, uint8_t **end)
{
    uint32_t packed[32] = {with->packed[0]};
    float reciprocal[32] = {with->reciprocal[0]};
    for (int at = 1; at < 32 && with->first + at - 1 < 256; at++) {
        packed[at] = with->packed[with->first + at - 1];
        reciprocal[at] = with->reciprocal[with->first + at - 1];
    }
    struct few few = {{_mm512_loadu_si512(packed), _mm512_loadu_si512(packed + 16)},
                      {_mm512_loadu_ps(reciprocal), _mm512_loadu_ps(reciprocal + 16)}};
    __m256i below = _mm256_set1_epi8((char)(with->first - 1)); /* 0 stays 0, the first becomes 1 */
    uint8_t *at = *end;
    while (rounds-- > 0)
        for (int each = VECTORS; each > 0; each -= 2) {
            const uint8_t *from = symbols + rounds * RANS_LANES + 16 * (size_t)(each - 2);
            __m256i bytes = _mm256_subs_epu8(_mm256_loadu_si256((const __m256i *)from), below);
            __m512i both = _mm512_cvtepu8_epi16(bytes); /* of each index only the low five bits count */
            x[each - 1] = take_few(&few, x[each - 1], _mm512_srli_epi32(both, 16), &at);
            x[each - 2] = take_few(&few, x[each - 2], both, &at);
        }
    *end = at;
}

TARGET_AVX512 static inline void encode_any(const struct rans_coder *with, __m512i *x, const uint8_t *symbols,
                                            size_t rounds, uint8_t **end)
{
    __m512i low = _mm512_set1_epi32(0xffff);
    while (rounds-- > 0)
        for (int each = VECTORS; each > 0; each -= 2) {
            const uint8_t *from = symbols + rounds * RANS_LANES + 16 * (size_t)(each - 2);
            __m512i both = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)from));
            x[each - 1] = take_any(with, x[each - 1], _mm512_srli_epi32(both, 16), end);
            x[each - 2] = take_any(with, x[each - 2], _mm512_and_si512(both, low), end);
        }
}

TARGET_AVX512 static uint8_t *encode(const struct rans_coder *with, uint32_t *states, const uint8_t *symbols,
                                     size_t rounds, uint8_t *end)
{
    __m512i x[VECTORS];
    for (int each = 0; each < VECTORS; each++)
        x[each] = _mm512_loadu_si512(states + 16 * each);
    if (with->last - with->first < 31)
        encode_few(with, x, symbols, rounds, &end);
    else
        encode_any(with, x, symbols, rounds, &end);
    for (int each = 0; each < VECTORS; each++)
        _mm512_storeu_si512(states + 16 * each, x[each]);
    return end;
}

TARGET_AVX512 static void split16(const uint8_t *numbers, size_t count, uint8_t *symbols, uint8_t *rest)
{
    __m512i outer = _mm512_set1_epi16((short)0x807f), low = _mm512_set1_epi16(0x7f);
    size_t at = 0;
    for (; at + 32 <= count; at += 32) {
        __m512i number = _mm512_loadu_si512(numbers + 2 * at);
        __m256i symbol = _mm512_cvtepi16_epi8(_mm512_srli_epi16(number, 7));
        __m512i around = _mm512_and_si512(number, outer);
        around = _mm512_ternarylogic_epi32(_mm512_srli_epi16(around, 8), around, low, 0xf8); /* a | (b & c) */
        _mm256_storeu_si256((__m256i *)(symbols + at), symbol);
        _mm256_storeu_si256((__m256i *)(rest + at), _mm512_cvtepi16_epi8(around));
    }
    rans_scalar.split16(numbers + 2 * at, count - at, symbols + at, rest + at);
}

const struct rans_loops rans_avx512 = {decode, encode, split16};
#endif

/* The loops of rans.h for AVX2: eight lanes to a register. */
#include "rans.h"

#include "level.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "rans_shuffles.h"

enum { VECTORS = RANS_LANES / 8 };

/* A gather into a register cleared for it: into any other it waits for whatever that held before. */
TARGET_AVX2 static inline __m256i look_up(__m256i index, const void *table)
{
    __m256i all = _mm256_set1_epi32(-1);
    __asm__("" : "+x"(all));
    return _mm256_mask_i32gather_epi32(_mm256_setzero_si256(), table, index, all, 4);
}

/* A step of eight lanes: their states move on; what the table says of each is given back. */
TARGET_AVX2 static inline __m256i step(const struct rans_decoder *with, __m256i *state, const uint8_t **words)
{
    const __m256i low = _mm256_set1_epi32(RANS_TOTAL - 1);
    __m256i slot = look_up(_mm256_and_si256(*state, low), with->slots);
    __m256i x = _mm256_mullo_epi32(_mm256_srli_epi32(slot, 20), _mm256_srli_epi32(*state, RANS_BITS));
    x = _mm256_add_epi32(x, _mm256_and_si256(_mm256_srli_epi32(slot, 8), low));
    __m256i wanting = _mm256_cmpeq_epi32(_mm256_srli_epi32(x, 16), _mm256_setzero_si256());
    unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(wanting));
    __m128i next = _mm_loadu_si128((const __m128i *)*words);
    next = _mm_shuffle_epi8(next, _mm_loadu_si128((const __m128i *)rans_spread[mask]));
    *words += 2 * __builtin_popcount(mask);
    x = _mm256_sllv_epi32(x, _mm256_and_si256(wanting, _mm256_set1_epi32(16)));
    *state = _mm256_or_si256(x, _mm256_cvtepu16_epi32(next));
    return slot;
}

TARGET_AVX2 static void decode(struct rans_stream *one, struct rans_stream *other)
{
    (void)other; /* eight registers of one keep this machine busy */
    const __m256i outer = _mm256_set1_epi16((short)0x807f), low = _mm256_set1_epi16(0xff);
    __m256i x[VECTORS], slots[VECTORS];
    const uint8_t *words = one->words, *rest = one->rest;
    uint8_t *out = one->out;
    size_t done = 0;
    for (int each = 0; each < VECTORS; each++)
        x[each] = _mm256_loadu_si256((const __m256i *)(one->states + 8 * each));
    for (; done < one->rounds && one->end - words >= RANS_ROUND; done++) {
        for (int each = 0; each < VECTORS; each++)
            slots[each] = step(&one->with, &x[each], &words);
        for (int each = 0; each < 4; each++) { /* 16 symbols: the even of one register, the odd of another */
            const __m256i *even = &slots[(each & 1) + 4 * (each >> 1)];
            __m256i symbols = _mm256_blend_epi16(even[0], _mm256_slli_epi32(even[2], 16), 0xaa);
            if (rest) {
                __m256i around = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)rest));
                around = _mm256_or_si256(around, _mm256_slli_epi16(around, 8));
                symbols = _mm256_andnot_si256(outer, _mm256_slli_epi16(symbols, 7));
                symbols = _mm256_or_si256(_mm256_and_si256(outer, around), symbols);
                _mm256_storeu_si256((__m256i *)out, symbols);
                rest += 16;
                out += 32;
            } else {
                symbols = _mm256_and_si256(symbols, low);
                symbols = _mm256_permute4x64_epi64(_mm256_packus_epi16(symbols, symbols), 0xd8);
                _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(symbols));
                out += 16;
            }
        }
    }
    for (int each = 0; each < VECTORS; each++)
        _mm256_storeu_si256((__m256i *)(one->states + 8 * each), x[each]);
    one->words = words;
    rans_advance(one, done);
}

/* Eight lanes take a symbol each, and shed a word first where they are full. */
TARGET_AVX2 static inline __m256i take(const struct rans_coder *with, __m256i x, __m256i symbols, uint8_t **end)
{
    const __m256i half = _mm256_set1_epi32(0xffff);
    __m256i packed = look_up(symbols, with->packed);
    __m256 reciprocal = _mm256_castsi256_ps(look_up(symbols, with->reciprocal));
    __m256i frequency = _mm256_and_si256(packed, half), start = _mm256_srli_epi32(packed, 16);
    __m256i most = _mm256_slli_epi32(frequency, 32 - RANS_BITS);
    __m256i full = _mm256_cmpeq_epi32(_mm256_max_epu32(x, most), x);
    unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(full));
    const __m256i halves = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 4, 5, 8, 9,
                                            12, 13, -1, -1, -1, -1, -1, -1, -1, -1);
    __m256i shed = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(x, halves), 0x08);
    __m128i top = _mm_shuffle_epi8(_mm256_castsi256_si128(shed), _mm_loadu_si128((const __m128i *)rans_to_top[mask]));
    _mm_storeu_si128((__m128i *)(*end - 16), top); /* what is below is written over later */
    *end -= 2 * __builtin_popcount(mask);
    x = _mm256_srlv_epi32(x, _mm256_and_si256(full, _mm256_set1_epi32(16)));
    __m256 high = _mm256_cvtepi32_ps(_mm256_srli_epi32(x, 16)); /* by halves: there is no unsigned conversion */
    __m256 low = _mm256_cvtepi32_ps(_mm256_and_si256(x, half));
    __m256 near = _mm256_mul_ps(_mm256_add_ps(_mm256_mul_ps(high, _mm256_set1_ps(65536)), low), reciprocal);
    __m256i quotient = _mm256_cvttps_epi32(near); /* right, or one too small */
    __m256i left = _mm256_sub_epi32(x, _mm256_mullo_epi32(quotient, frequency));
    __m256i right = _mm256_cmpgt_epi32(frequency, left);
    quotient = _mm256_add_epi32(quotient, _mm256_add_epi32(right, _mm256_set1_epi32(1)));
    left = _mm256_sub_epi32(left, _mm256_andnot_si256(right, frequency));
    return _mm256_add_epi32(_mm256_slli_epi32(quotient, RANS_BITS), _mm256_add_epi32(left, start));
}

TARGET_AVX2 static uint8_t *encode(const struct rans_coder *with, uint32_t *states, const uint8_t *symbols,
                                   size_t rounds, uint8_t *end)
{
    const __m256i low = _mm256_set1_epi32(0xffff);
    __m256i x[VECTORS];
    for (int each = 0; each < VECTORS; each++)
        x[each] = _mm256_loadu_si256((const __m256i *)(states + 8 * each));
    while (rounds-- > 0)
        for (int half = 1; half >= 0; half--) {
            const __m128i *from = (const __m128i *)(symbols + rounds * RANS_LANES + 32 * (size_t)half);
            __m256i first = _mm256_cvtepu8_epi16(_mm_loadu_si128(from));
            __m256i second = _mm256_cvtepu8_epi16(_mm_loadu_si128(from + 1));
            __m256i *lanes = x + 4 * half;
            lanes[3] = take(with, lanes[3], _mm256_srli_epi32(second, 16), &end);
            lanes[2] = take(with, lanes[2], _mm256_srli_epi32(first, 16), &end);
            lanes[1] = take(with, lanes[1], _mm256_and_si256(second, low), &end);
            lanes[0] = take(with, lanes[0], _mm256_and_si256(first, low), &end);
        }
    for (int each = 0; each < VECTORS; each++)
        _mm256_storeu_si256((__m256i *)(states + 8 * each), x[each]);
    return end;
}

TARGET_AVX2 static void split16(const uint8_t *numbers, size_t count, uint8_t *symbols, uint8_t *rest)
{
    const __m256i low = _mm256_set1_epi16(0x7f), high = _mm256_set1_epi16(0x80), byte = _mm256_set1_epi16(0xff);
    size_t at = 0;
    for (; at + 32 <= count; at += 32) {
        __m256i symbol[2], around[2];
        for (int each = 0; each < 2; each++) {
            __m256i number = _mm256_loadu_si256((const __m256i *)(numbers + 2 * at) + each);
            symbol[each] = _mm256_and_si256(_mm256_srli_epi16(number, 7), byte);
            around[each] = _mm256_or_si256(_mm256_and_si256(number, low),
                                           _mm256_and_si256(_mm256_srli_epi16(number, 8), high));
        }
        __m256i both = _mm256_packus_epi16(symbol[0], symbol[1]);
        _mm256_storeu_si256((__m256i *)(symbols + at), _mm256_permute4x64_epi64(both, 0xd8));
        both = _mm256_packus_epi16(around[0], around[1]);
        _mm256_storeu_si256((__m256i *)(rest + at), _mm256_permute4x64_epi64(both, 0xd8));
    }
    rans_scalar.split16(numbers + 2 * at, count - at, symbols + at, rest + at);
}

const struct rans_loops rans_avx2 = {decode, encode, split16};
#endif

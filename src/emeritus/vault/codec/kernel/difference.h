/* The difference codec's core: numbers against a base's numbers, by tokens and raw bits (docs/format.md, encoding 4).
 *
 * Knows nothing of Python, of segments or of how tables are chosen and written down. Everything it is given is checked
 * by `difference_sound` and by the loops themselves: no input makes it read or write outside the buffers given.
 */
#ifndef EMERITUS_DIFFERENCE_H
#define EMERITUS_DIFFERENCE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Functions of a constant width are made for each width, and for whole rows: what is constant in them must be seen. */
#if defined(__GNUC__)
#define DIFFERENCE_INLINE static inline __attribute__((always_inline))
#else
#define DIFFERENCE_INLINE static inline
#endif

enum {
    DIFFERENCE_LANES = 32,                      /* interleaved states; number i belongs to lane i % 32 */
    DIFFERENCE_BITS = 12,                       /* probabilities are multiples of 2^-12 */
    DIFFERENCE_TOTAL = 1 << DIFFERENCE_BITS,
    DIFFERENCE_ESCAPE = 255,                    /* of a table of differences: the whole value follows as raw bits */
    DIFFERENCE_DIRECT = 5,                      /* values below 2^5 are tokens of their own */
    DIFFERENCE_FINE = 3,                        /* larger ones: a token per eighth of an octave */
    DIFFERENCE_MOST = 3 * DIFFERENCE_LANES      /* words that one row of 32 numbers can take */
};

/* One table of 256 frequencies per class of base numbers. */
struct difference_tables {
    size_t count;                /* 1 to 256 */
    const uint8_t *map;          /* 256: exponent of the base's number -> table */
    const uint8_t *kinds;        /* count: 0 difference from the base, 1 the number itself */
    const uint8_t *frequencies;  /* count * 256 little-endian u16: each table's sum is 4096 */
};

/* What the loops look up, made by difference_prepare from sound tables. */
struct difference_plan {
    uint32_t tokens[2][256];  /* kind, token -> smallest value (27 bits or 32) */
    uint32_t raws[2][256];    /* kind, token -> raw bits that follow */
    uint32_t places[256];     /* exponent -> first entry of its table; bit 31: the kind */
    int fast;                 /* whether the loops of difference_avx512.c may run */
    uint32_t *decoding;       /* count * 4096: token << 24 | (frequency - 1) << 12 | place within the token */
    uint64_t *encoding;       /* count * 256: reciprocal << 32 | start << 16 | frequency */
};

int difference_sound(int width, const struct difference_tables *tables);
int difference_prepare(struct difference_plan *plan, int width, const struct difference_tables *tables, int encode);
void difference_release(struct difference_plan *plan);

/* Adds to counts[exponent * 256 + token] for every number whose exponent is wanted. counts has 65536 places. */
void difference_count(int width, int kind, const uint8_t *base, const uint8_t *data, size_t numbers,
                      const uint8_t *wanted, uint32_t *counts);

/* Writes states and words to the end of `out` and returns how many bytes they are; -1: no room, or no token fits. */
ptrdiff_t difference_encode(int width, const struct difference_plan *plan, const uint8_t *base, const uint8_t *data,
                            size_t numbers, uint8_t *out, size_t room);

/* 1: exactly `numbers` numbers were decoded from exactly `size` bytes. 0: damaged. */
int difference_decode(int width, const struct difference_plan *plan, const uint8_t *base, const uint8_t *stream,
                      size_t size, uint8_t *out, size_t numbers);

/* For width 2 by AVX-512. The encoder does whole rows from the last one down until there is no room or an escape is
 * needed, and returns the rows left. */
size_t difference_encode_avx512(const struct difference_plan *plan, const uint8_t *base, const uint8_t *data,
                                size_t rows, uint32_t *states, uint8_t *start, uint8_t **words);

/* exponent << 8 | token of each of a multiple of 16 numbers. */
void difference_index_avx512(int kind, const uint8_t *base, const uint8_t *data, size_t numbers, uint16_t *places);

/* As many whole rows as are safe; returns the rows done and moves `words` on. */
size_t difference_decode_avx512(const struct difference_plan *plan, const uint8_t *base, uint8_t *out, size_t rows,
                                uint32_t *states, const uint8_t **words, const uint8_t *end);

DIFFERENCE_INLINE uint16_t difference_get16(const uint8_t *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

DIFFERENCE_INLINE uint32_t difference_get32(const uint8_t *from)
{
    return (uint32_t)difference_get16(from) | (uint32_t)difference_get16(from + 2) << 16;
}

DIFFERENCE_INLINE void difference_put16(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
}

DIFFERENCE_INLINE void difference_put32(uint8_t *to, uint32_t value)
{
    difference_put16(to, value);
    difference_put16(to + 2, value >> 16);
}

DIFFERENCE_INLINE uint32_t difference_get(int width, const uint8_t *from, size_t at)
{
    return width == 2 ? difference_get16(from + 2 * at) : difference_get32(from + 4 * at);
}

DIFFERENCE_INLINE void difference_put(int width, uint8_t *to, size_t at, uint32_t value)
{
    if (width == 2)
        difference_put16(to + 2 * at, value);
    else
        difference_put32(to + 4 * at, value);
}

/* A number's place in the order of its values, and back: sign and magnitude to two's complement, and -0 below +0. */
DIFFERENCE_INLINE int32_t difference_order(int width, uint32_t number)
{
    int32_t wide = width == 2 ? (int16_t)number : (int32_t)number;
    return wide ^ (int32_t)((uint32_t)(wide >> 31) >> (width == 2 ? 17 : 1));
}

DIFFERENCE_INLINE uint32_t difference_unorder(int width, uint32_t place)
{
    int32_t wide = width == 2 ? (int16_t)place : (int32_t)place;
    return (uint32_t)(wide ^ (int32_t)((uint32_t)(wide >> 31) >> (width == 2 ? 17 : 1)));
}

/* The value that is coded: steps away from zero (even) or towards it and beyond (odd), as the base's sign has it. */
DIFFERENCE_INLINE uint32_t difference_value(int width, uint32_t base, uint32_t number)
{
    uint32_t steps = (uint32_t)difference_order(width, number) - (uint32_t)difference_order(width, base);
    uint32_t sign = (uint32_t)(width == 2 ? (int32_t)(int16_t)base >> 31 : (int32_t)base >> 31);
    steps = (steps ^ sign) - sign;
    int32_t wide = width == 2 ? (int16_t)steps : (int32_t)steps;
    uint32_t value = (uint32_t)wide << 1 ^ (uint32_t)(wide >> 31);
    return width == 2 ? value & 0xffff : value;
}

DIFFERENCE_INLINE uint32_t difference_number(int width, uint32_t base, uint32_t value)
{
    uint32_t steps = value >> 1 ^ -(value & 1);
    uint32_t sign = (uint32_t)(width == 2 ? (int32_t)(int16_t)base >> 31 : (int32_t)base >> 31);
    steps = (steps ^ sign) - sign;
    return difference_unorder(width, (uint32_t)difference_order(width, base) + steps);
}

DIFFERENCE_INLINE uint32_t difference_exponent(int width, uint32_t number)
{
    return (width == 2 ? number >> 7 : number >> 23) & 255;
}

/* The token of a value, and how many raw bits follow it. */
DIFFERENCE_INLINE uint32_t difference_token(int width, int kind, uint32_t value, uint32_t *raw)
{
    if (kind == 1) {
        *raw = (uint32_t)(8 * width - 8);
        return value >> *raw;
    }
    if (value < 1u << DIFFERENCE_DIRECT) { /* a branch that is mostly foretold beats computing both */
        *raw = 0;
        return value;
    }
    uint32_t octave = 31 - (uint32_t)__builtin_clz(value);
    *raw = octave - DIFFERENCE_FINE;
    return (1u << DIFFERENCE_DIRECT) + ((octave - DIFFERENCE_DIRECT) << DIFFERENCE_FINE) +
           ((value >> *raw) - (1u << DIFFERENCE_FINE));
}

#endif

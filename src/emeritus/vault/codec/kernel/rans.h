/* Interleaved rANS over bytes, in blocks with a table each (docs/format.md, encoding 3). Knows no Python and no layouts.
 *
 * The range variant of asymmetric numeral systems: J. Duda, "Asymmetric numeral systems", arXiv:1311.2540; interleaving:
 * F. Giesen, "Interleaved entropy coders", arXiv:1402.3392.
 *
 * A round is 64 symbols, one of each lane. Lane 32 h + 16 b + j codes symbol 32 h + 2 j + b of the round (h, b < 2 and
 * j < 16), so that two registers of lanes become one of 16-bit numbers by a shift and a blend. Of the symbols left over
 * at a block's end, fewer than 64, lane k codes symbol k.
 *
 * Why 64 lanes and not 32, measured with AVX-512 in cycles for 64 symbols: 56 against 102, and 36 against 56 where two
 * blocks are decoded in step; the 128 bytes more that a block takes are 0.04 % of it.
 */
#ifndef EMERITUS_RANS_H
#define EMERITUS_RANS_H

#include <stddef.h>
#include <stdint.h>

enum {
    RANS_BLOCK = 1 << 18,       /* symbols of a block; the last of a plane may have fewer */
    RANS_LANES = 64,            /* states, each of which codes every 64th symbol */
    RANS_BITS = 12,             /* the frequencies of a block add up to 1 << 12 */
    RANS_TOTAL = 1 << RANS_BITS,
    RANS_LOW = 1 << 16,         /* a state lies in [2^16, 2^32) between symbols, and is 2^16 before the first */
    RANS_ROUND = 2 * RANS_LANES, /* the most bytes one round of symbols reads or writes */
    RANS_TABLE = 2 + 2 * 256,   /* the most bytes a table takes */
};

/* What encoding a symbol needs. `reciprocal` is a little less than 1 / frequency: the quotient it gives is right or
 * one too small. `exact` is 2^44 / frequency rounded up: x * exact >> 44 is the quotient for every x below
 * frequency * 2^20, since the error, below x * frequency, stays under 2^44. */
struct rans_coder {
    int first, last;      /* the lowest symbol but 0, and the highest, that have a frequency */
    uint32_t packed[256]; /* frequency in the low half, where it starts in the high half */
    float reciprocal[256];
    uint64_t exact[256];
};

/* Decoding: for each slot the symbol (8 bits), its frequency (12) and the slot's distance from its start (12). */
struct rans_decoder {
    uint32_t slots[RANS_TOTAL];
};

/* A block while it is decoded. `out` takes symbols, or where `rest` is not NULL 16-bit numbers, merged with it. */
struct rans_stream {
    struct rans_decoder with;
    uint32_t states[RANS_LANES];
    const uint8_t *words, *end; /* of what can be read */
    const uint8_t *rest;
    uint8_t *out;
    size_t rounds; /* left to decode: of 64 symbols, one of each lane */
};

/* The loops of one instruction set.
 * `decode` runs rounds of one stream, or of two that both merge or both do not: `other` may be NULL. It stops where the
 * first of them has no rounds left or fewer than RANS_ROUND bytes to read; it may leave rounds of `other` undone.
 * `encode` writes words before `end` and returns where they begin. */
struct rans_loops {
    void (*decode)(struct rans_stream *one, struct rans_stream *other);
    uint8_t *(*encode)(const struct rans_coder *with, uint32_t *states, const uint8_t *symbols, size_t rounds,
                       uint8_t *end);
    void (*split16)(const uint8_t *numbers, size_t count, uint8_t *symbols, uint8_t *rest);
};

extern const struct rans_loops rans_scalar, rans_avx512, rans_avx2, rans_neon; /* each where its machine is */
const struct rans_loops *rans_loops(void); /* of the instruction set in use */

/* Memory that encoding a block takes: its words while they are written backwards, and counts of pairs. */
struct rans_room {
    uint8_t words[2 * RANS_BLOCK];
    uint32_t pairs[1 << 16];
};

/* How often each byte occurs among `count` symbols. */
void rans_count(const uint8_t *symbols, size_t count, uint32_t counts[256], uint32_t pairs[1 << 16]);

/* Encode 1 to RANS_BLOCK symbols into `out`, which holds `most` bytes; gives how many it took, 0 when it takes more. */
size_t rans_encode(const uint8_t *symbols, size_t count, uint8_t *out, size_t most, struct rans_room *room);

/* What `rans_decode` reads and writes: a block of `size` bytes that holds `count` symbols, to `out`; where `rest` is not
 * NULL each is merged with its byte of `rest` to a 16-bit number: sign, symbol, the low seven bits. */
struct rans_block {
    const uint8_t *block;
    size_t size;
    const uint8_t *rest;
    uint8_t *out;
    size_t count;
};

/* Decode one block or two at once, which is faster than one after the other; `other` may be NULL, and has a `rest` if
 * and only if `one` has. 0 when either is not what `rans_encode` writes. */
int rans_decode(const struct rans_block *one, const struct rans_block *other);

/* Which symbol of a round a lane codes. */
static inline int rans_place(int lane)
{
    return (lane & 32) | (lane & 15) << 1 | (lane >> 4 & 1);
}

static inline uint32_t rans_load32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline void rans_store32(uint8_t *at, uint32_t value)
{
    for (int byte = 0; byte < 4; byte++)
        at[byte] = (uint8_t)(value >> (8 * byte));
}

static inline void rans_merge16(uint8_t *number, uint8_t symbol, uint8_t rest)
{
    number[0] = (uint8_t)((rest & 0x7f) | symbol << 7);
    number[1] = (uint8_t)((rest & 0x80) | symbol >> 1);
}

/* Move a stream on after `rounds` rounds. */
static inline void rans_advance(struct rans_stream *stream, size_t rounds)
{
    stream->rounds -= rounds;
    stream->out += (stream->rest ? 2 : 1) * RANS_LANES * rounds;
    if (stream->rest)
        stream->rest += RANS_LANES * rounds;
}

/* Without branches, which chance would take: two bytes at `words` are read, needed or not. */
static inline uint8_t rans_decode_one(const struct rans_decoder *with, uint32_t *state, const uint8_t **words)
{
    uint32_t slot = with->slots[*state & (RANS_TOTAL - 1)];
    uint32_t x = (slot >> 20) * (*state >> RANS_BITS) + ((slot >> 8) & (RANS_TOTAL - 1));
    uint32_t wanting = x < RANS_LOW, word = (uint32_t)((*words)[0] | (*words)[1] << 8);
    *state = x << 16 * wanting | (word & -wanting);
    *words += 2 * wanting;
    return (uint8_t)slot;
}

/* The same way: two bytes before `end` are written, needed or not. */
static inline void rans_encode_one(const struct rans_coder *with, uint32_t *state, uint8_t **end, uint8_t symbol)
{
    uint32_t packed = with->packed[symbol], frequency = packed & 0xffff, x = *state;
    uint32_t full = x >= frequency << (32 - RANS_BITS);
    (*end)[-2] = (uint8_t)x;
    (*end)[-1] = (uint8_t)(x >> 8);
    *end -= 2 * full;
    x >>= 16 * full;
    uint32_t quotient = (uint32_t)(x * with->exact[symbol] >> 44);
    *state = x + quotient * (RANS_TOTAL - frequency) + (packed >> 16);
}

#endif

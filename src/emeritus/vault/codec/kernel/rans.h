/* Interleaved rANS over bytes, in blocks with a table each (docs/format.md, encoding 3). Knows no Python and no layouts.
 *
 * The range variant of asymmetric numeral systems: J. Duda, "Asymmetric numeral systems", arXiv:1311.2540; interleaving:
 * F. Giesen, "Interleaved entropy coders", arXiv:1402.3392. Lane l of 64 codes the symbols l, l + 64, ... of a block.
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
    RANS_BOUND = RANS_TABLE + 4 * RANS_LANES + 2 * RANS_BLOCK, /* the most bytes a block takes */
};

/* What encoding a symbol needs. `reciprocal` is a little less than 1 / frequency: the quotient it gives is right or
 * one too small. `exact` is 2^44 / frequency rounded up: x * exact >> 44 is the quotient for every x below
 * frequency * 2^20, since the error, below x * frequency, stays under 2^44. */
struct rans_coder {
    uint32_t packed[256]; /* frequency in the low half, where it starts in the high half */
    float reciprocal[256];
    uint64_t exact[256];
};

/* Decoding: for each slot the symbol (8 bits), its frequency (12) and the slot's distance from its start (12). */
struct rans_decoder {
    uint32_t slots[RANS_TOTAL];
};

/* The loops of one instruction set. A round is one symbol of every lane.
 * `decode` and `decode16` run at most `rounds` rounds, each only while RANS_ROUND bytes can be read before `end`, move
 * *words on and return how many they ran. `encode` writes words before `end` and returns where they begin; the
 * RANS_ROUND bytes before that must be writable too. */
struct rans_loops {
    size_t (*decode)(const struct rans_decoder *with, uint32_t *states, const uint8_t **words, const uint8_t *end,
                     uint8_t *symbols, size_t rounds);
    size_t (*decode16)(const struct rans_decoder *with, uint32_t *states, const uint8_t **words, const uint8_t *end,
                       const uint8_t *rest, uint8_t *numbers, size_t rounds);
    uint8_t *(*encode)(const struct rans_coder *with, uint32_t *states, const uint8_t *symbols, size_t rounds,
                       uint8_t *end);
    void (*split16)(const uint8_t *numbers, size_t count, uint8_t *symbols, uint8_t *rest);
};

extern const struct rans_loops rans_scalar;
const struct rans_loops *rans_loops(void); /* of the instruction set in use */

/* How often each byte occurs among `count` symbols. */
void rans_count(const uint8_t *symbols, size_t count, uint32_t counts[256]);

/* Encode 1 to RANS_BLOCK symbols into `out`, which holds RANS_BOUND bytes; gives how many it took. */
size_t rans_encode(const uint8_t *symbols, size_t count, uint8_t *out, uint8_t *scratch);

/* Decode a block of `size` bytes that holds `count` symbols. 0 when it is not what `rans_encode` writes. */
int rans_decode(const uint8_t *block, size_t size, uint8_t *symbols, size_t count);

/* The same, and merge each symbol with its byte of `rest` to a 16-bit number: sign, symbol, the low seven bits. */
int rans_decode16(const uint8_t *block, size_t size, const uint8_t *rest, uint8_t *numbers, size_t count);

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

static inline uint8_t rans_decode_one(const struct rans_decoder *with, uint32_t *state, const uint8_t **words)
{
    uint32_t slot = with->slots[*state & (RANS_TOTAL - 1)];
    uint32_t x = (slot >> 20) * (*state >> RANS_BITS) + ((slot >> 8) & (RANS_TOTAL - 1));
    if (x < RANS_LOW) {
        x = x << 16 | (uint32_t)((*words)[0] | (*words)[1] << 8);
        *words += 2;
    }
    *state = x;
    return (uint8_t)slot;
}

static inline void rans_encode_one(const struct rans_coder *with, uint32_t *state, uint8_t **end, uint8_t symbol)
{
    uint32_t packed = with->packed[symbol], frequency = packed & 0xffff, x = *state;
    if (x >= frequency << 20) {
        *end -= 2;
        (*end)[0] = (uint8_t)x;
        (*end)[1] = (uint8_t)(x >> 8);
        x >>= 16;
    }
    uint32_t quotient = (uint32_t)(x * with->exact[symbol] >> 44);
    *state = x + quotient * (RANS_TOTAL - frequency) + (packed >> 16);
}

#endif

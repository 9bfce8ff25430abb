/* The loops of rans.h in plain C, for any machine. */
#include "rans.h"

static size_t decode(const struct rans_decoder *with, uint32_t *states, const uint8_t **words, const uint8_t *end,
                     uint8_t *symbols, size_t rounds)
{
    size_t done = 0;
    for (; done < rounds && end - *words >= RANS_ROUND; done++)
        for (int lane = 0; lane < RANS_LANES; lane++)
            *symbols++ = rans_decode_one(with, &states[lane], words);
    return done;
}

static size_t decode16(const struct rans_decoder *with, uint32_t *states, const uint8_t **words, const uint8_t *end,
                       const uint8_t *rest, uint8_t *numbers, size_t rounds)
{
    size_t done = 0;
    for (; done < rounds && end - *words >= RANS_ROUND; done++)
        for (int lane = 0; lane < RANS_LANES; lane++, numbers += 2)
            rans_merge16(numbers, rans_decode_one(with, &states[lane], words), *rest++);
    return done;
}

static uint8_t *encode(const struct rans_coder *with, uint32_t *states, const uint8_t *symbols, size_t rounds,
                       uint8_t *end)
{
    while (rounds-- > 0)
        for (int lane = RANS_LANES; lane-- > 0;)
            rans_encode_one(with, &states[lane], &end, symbols[rounds * RANS_LANES + (size_t)lane]);
    return end;
}

static void split16(const uint8_t *numbers, size_t count, uint8_t *symbols, uint8_t *rest)
{
    for (size_t at = 0; at < count; at++) {
        uint8_t low = numbers[2 * at], high = numbers[2 * at + 1];
        symbols[at] = (uint8_t)(high << 1 | low >> 7);
        rest[at] = (uint8_t)((high & 0x80) | (low & 0x7f));
    }
}

const struct rans_loops rans_scalar = {decode, decode16, encode, split16};

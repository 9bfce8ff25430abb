/* The loops of rans.h in plain C, for any machine. */
#include "rans.h"

static void decode(struct rans_stream *one, struct rans_stream *other)
{
    (void)other; /* two at once are no faster here */
    for (; one->rounds && one->end - one->words >= RANS_ROUND; rans_advance(one, 1))
        for (int lane = 0; lane < RANS_LANES; lane++) {
            int place = rans_place(lane);
            uint8_t symbol = rans_decode_one(&one->with, &one->states[lane], &one->words);
            if (one->rest)
                rans_merge16(one->out + 2 * place, symbol, one->rest[place]);
            else
                one->out[place] = symbol;
        }
}

static uint8_t *encode(const struct rans_coder *with, uint32_t *states, const uint8_t *symbols, size_t rounds,
                       uint8_t *end)
{
    while (rounds-- > 0)
        for (int lane = RANS_LANES; lane-- > 0;)
            rans_encode_one(with, &states[lane], &end, symbols[rounds * RANS_LANES + (size_t)rans_place(lane)]);
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

const struct rans_loops rans_scalar = {decode, encode, split16};

/* Blocks of interleaved rANS: counting, the table, the states, and which loops run over them. */
#include "rans.h"

#include <string.h>

#include "level.h"

const struct rans_loops *rans_loops(void)
{
    return &rans_scalar;
}

void rans_count(const uint8_t *symbols, size_t count, uint32_t counts[256])
{
    uint32_t apart[4][256]; /* equal neighbours would wait for each other's store in one table */
    memset(apart, 0, sizeof apart);
    size_t at = 0;
    for (; at + 8 <= count; at += 8) {
        uint64_t eight;
        memcpy(&eight, symbols + at, 8);
        for (int byte = 0; byte < 8; byte++)
            apart[byte & 3][eight >> (8 * byte) & 255]++;
    }
    for (; at < count; at++)
        apart[0][symbols[at]]++;
    for (int symbol = 0; symbol < 256; symbol++)
        counts[symbol] = apart[0][symbol] + apart[1][symbol] + apart[2][symbol] + apart[3][symbol];
}

/* Frequencies that add up to RANS_TOTAL: the counts' shares rounded, none that occurs at 0, then one step at a time
 * where a step costs least. A symbol that is alone leaves one slot to a neighbour, so that 12 bits hold them all. */
static void normalise(const uint32_t counts[256], uint32_t total, uint32_t frequencies[256])
{
    int32_t sum = 0;
    for (int symbol = 0; symbol < 256; symbol++) {
        uint32_t share = (uint32_t)(((uint64_t)counts[symbol] * RANS_TOTAL + total / 2) / total);
        frequencies[symbol] = share == 0 && counts[symbol] ? 1 : share;
        sum += (int32_t)frequencies[symbol];
    }
    for (; sum != RANS_TOTAL; sum += sum < RANS_TOTAL ? 1 : -1) {
        int best = -1, down = sum > RANS_TOTAL;
        for (int symbol = 0; symbol < 256; symbol++) {
            if (frequencies[symbol] <= (uint32_t)down)
                continue;
            /* the cost of a step is near count / (frequency -+ 1/2), compared without dividing */
            if (best < 0) {
                best = symbol;
                continue;
            }
            uint64_t mine = (uint64_t)counts[symbol] * (down ? 2 * frequencies[best] - 1 : 2 * frequencies[best] + 1);
            uint64_t its = (uint64_t)counts[best] * (down ? 2 * frequencies[symbol] - 1 : 2 * frequencies[symbol] + 1);
            if (down ? mine < its : mine > its)
                best = symbol;
        }
        frequencies[best] += down ? -1u : 1u;
    }
    for (int symbol = 0; symbol < 256; symbol++)
        if (frequencies[symbol] == RANS_TOTAL) {
            frequencies[symbol]--;
            frequencies[symbol ^ 1] = 1;
            break;
        }
}

/* The table: the first and the last symbol that occur, then each frequency between, in one byte or two. */
static uint8_t *write_table(const uint32_t frequencies[256], uint8_t *out)
{
    int first = 0, last = 255;
    while (!frequencies[first])
        first++;
    while (!frequencies[last])
        last--;
    *out++ = (uint8_t)first;
    *out++ = (uint8_t)last;
    for (int symbol = first; symbol <= last; symbol++) {
        if (frequencies[symbol] < 128) {
            *out++ = (uint8_t)frequencies[symbol];
        } else {
            *out++ = (uint8_t)(frequencies[symbol] | 128);
            *out++ = (uint8_t)(frequencies[symbol] >> 7);
        }
    }
    return out;
}

/* Reads a table and fills the decoder's slots; where it ends, or NULL when it is none. */
static const uint8_t *read_table(const uint8_t *at, const uint8_t *end, struct rans_decoder *with)
{
    if (end - at < 2 || at[0] > at[1])
        return NULL;
    uint32_t first = at[0], last = at[1], start = 0;
    at += 2;
    for (uint32_t symbol = first; symbol <= last; symbol++) {
        if (at == end)
            return NULL;
        uint32_t frequency = *at++;
        if (frequency >= 128) {
            if (at == end || *at == 0 || *at > 31)
                return NULL;
            frequency = (frequency & 127) | (uint32_t)*at++ << 7;
        }
        if (frequency > RANS_TOTAL - start)
            return NULL;
        for (uint32_t distance = 0; distance < frequency; distance++)
            with->slots[start + distance] = frequency << 20 | distance << 8 | symbol;
        start += frequency;
    }
    return start == RANS_TOTAL ? at : NULL;
}

size_t rans_encode(const uint8_t *symbols, size_t count, uint8_t *out, uint8_t *scratch)
{
    uint32_t counts[256], frequencies[256], states[RANS_LANES], start = 0;
    struct rans_coder with;
    rans_count(symbols, count, counts);
    normalise(counts, (uint32_t)count, frequencies);
    for (int symbol = 0; symbol < 256; symbol++) {
        uint32_t frequency = frequencies[symbol];
        with.packed[symbol] = frequency | start << 16;
        with.exact[symbol] = frequency ? ((UINT64_C(1) << 44) + frequency - 1) / frequency : 0;
        with.reciprocal[symbol] = frequency ? (float)((1 - 0x1p-22) / frequency) : 0;
        start += frequency;
    }
    for (int lane = 0; lane < RANS_LANES; lane++)
        states[lane] = RANS_LOW;
    uint8_t *end = scratch + RANS_ROUND + 2 * RANS_BLOCK, *words = end;
    size_t rounds = count / RANS_LANES;
    for (size_t lane = count % RANS_LANES; lane-- > 0;)
        rans_encode_one(&with, &states[lane], &words, symbols[rounds * RANS_LANES + lane]);
    words = rans_loops()->encode(&with, states, symbols, rounds, words);
    uint8_t *at = write_table(frequencies, out);
    for (int lane = 0; lane < RANS_LANES; lane++, at += 4)
        rans_store32(at, states[lane]);
    memcpy(at, words, (size_t)(end - words));
    return (size_t)(at - out) + (size_t)(end - words);
}

/* Both ways to decode: `rest` and `numbers`, or `symbols`. */
static int decode(const uint8_t *block, size_t size, uint8_t *symbols, const uint8_t *rest, uint8_t *numbers,
                  size_t count)
{
    struct rans_decoder with;
    uint32_t states[RANS_LANES];
    uint8_t tail[3 * RANS_ROUND] = {0};
    const uint8_t *end = block + size, *words = read_table(block, end, &with);
    if (words == NULL || end - words < 4 * RANS_LANES || (end - words) % 2)
        return 0;
    for (int lane = 0; lane < RANS_LANES; lane++, words += 4)
        states[lane] = rans_load32(words);
    const struct rans_loops *loops = rans_loops();
    size_t rounds = count / RANS_LANES, done = 0;
    for (int last = 0; last < 2; last++) {
        if (last) { /* the last words are read from a copy that ends in zeros, so that rounds can read ahead of them */
            size_t left = (size_t)(end - words);
            if (left > RANS_ROUND) /* all rounds ran */
                return 0;
            memcpy(tail, words, left);
            words = tail;
            end = tail + left;
        }
        const uint8_t *ahead = last ? tail + 2 * RANS_ROUND : end;
        done += numbers ? loops->decode16(&with, states, &words, ahead, rest + done * RANS_LANES,
                                          numbers + 2 * done * RANS_LANES, rounds - done)
                        : loops->decode(&with, states, &words, ahead, symbols + done * RANS_LANES, rounds - done);
    }
    if (done < rounds || words > end)
        return 0;
    for (size_t at = rounds * RANS_LANES, lane = 0; at < count; at++, lane++) {
        uint8_t symbol = rans_decode_one(&with, &states[lane], &words);
        if (numbers)
            rans_merge16(numbers + 2 * at, symbol, rest[at]);
        else
            symbols[at] = symbol;
    }
    uint32_t wrong = 0;
    for (int lane = 0; lane < RANS_LANES; lane++)
        wrong |= states[lane] ^ RANS_LOW;
    return words == end && wrong == 0;
}

int rans_decode(const uint8_t *block, size_t size, uint8_t *symbols, size_t count)
{
    return decode(block, size, symbols, NULL, NULL, count);
}

int rans_decode16(const uint8_t *block, size_t size, const uint8_t *rest, uint8_t *numbers, size_t count)
{
    return decode(block, size, NULL, rest, numbers, count);
}

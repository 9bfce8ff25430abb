/* Blocks of interleaved rANS: counting, the table, the states, and which loops run over them. */
#include "rans.h"

#include <string.h>

#include "level.h"

const struct rans_loops *rans_loops(void)
{
#if defined(__x86_64__)
    if (kernel_level() == LEVEL_AVX512)
        return &rans_avx512;
    if (kernel_level() == LEVEL_AVX2)
        return &rans_avx2;
#elif defined(__aarch64__)
    if (kernel_level() == LEVEL_NEON)
        return &rans_neon;
#endif
    return &rans_scalar;
}

/* The lowest and the highest of `count` symbols. */
static void bounds(const uint8_t *symbols, size_t count, int *lowest, int *highest)
{
    uint8_t least = 255, most = 0;
    for (size_t at = 0; at < count; at++) {
        least = symbols[at] < least ? symbols[at] : least;
        most = symbols[at] > most ? symbols[at] : most;
    }
    *lowest = least;
    *highest = most;
}

/* Pairs of neighbours: half the additions, and hardly ever twice the same counter in a row. Of their table only what lies
 * between the lowest symbol and the highest is touched: to clear and add up all of it took a third of counting. */
static size_t count_pairs(const uint8_t *symbols, size_t count, uint32_t counts[256], uint32_t pairs[1 << 16])
{
    size_t at = 0;
    int lowest, highest;
    bounds(symbols, count, &lowest, &highest);
    for (int high = lowest; high <= highest; high++)
        memset(pairs + 256 * high + lowest, 0, sizeof(uint32_t) * (size_t)(highest - lowest + 1));
    for (; at + 8 <= count; at += 8) {
        uint64_t eight;
        memcpy(&eight, symbols + at, 8);
        pairs[eight & 0xffff]++;
        pairs[eight >> 16 & 0xffff]++;
        pairs[eight >> 32 & 0xffff]++;
        pairs[eight >> 48]++;
    }
    for (int high = lowest; high <= highest; high++) {
        uint32_t sum = 0;
        for (int low = lowest; low <= highest; low++) {
            sum += pairs[256 * high + low];
            counts[low] += pairs[256 * high + low];
        }
        counts[high] += sum;
    }
    return at;
}

void rans_count(const uint8_t *symbols, size_t count, uint32_t counts[256], uint32_t pairs[1 << 16])
{
    size_t at = 0;
    memset(counts, 0, 256 * sizeof *counts);
    if (count >= 1 << 15) /* so many that clearing and adding up the pairs is worth it */
        at = count_pairs(symbols, count, counts, pairs);
    for (; at < count; at++)
        counts[symbols[at]]++;
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

size_t rans_encode(const uint8_t *symbols, size_t count, uint8_t *out, size_t most, struct rans_room *room)
{
    uint32_t counts[256], frequencies[256], states[RANS_LANES], start = 0;
    struct rans_coder with;
    with.first = with.last = 0;
    rans_count(symbols, count, counts, room->pairs);
    normalise(counts, (uint32_t)count, frequencies);
    for (int symbol = 0; symbol < 256; symbol++) {
        uint32_t frequency = frequencies[symbol];
        with.packed[symbol] = frequency | start << 16;
        with.exact[symbol] = frequency ? ((UINT64_C(1) << 44) + frequency - 1) / frequency : 0;
        with.reciprocal[symbol] = frequency ? (float)((1 - 0x1p-22) / frequency) : 0;
        start += frequency;
        if (frequency && symbol && !with.first)
            with.first = symbol;
        if (frequency)
            with.last = symbol;
    }
    for (int lane = 0; lane < RANS_LANES; lane++)
        states[lane] = RANS_LOW;
    uint8_t *end = room->words + sizeof room->words, *words = end;
    size_t rounds = count / RANS_LANES;
    for (size_t lane = count % RANS_LANES; lane-- > 0;)
        rans_encode_one(&with, &states[lane], &words, symbols[rounds * RANS_LANES + lane]);
    words = rans_loops()->encode(&with, states, symbols, rounds, words);
    uint8_t head[RANS_TABLE + 4 * RANS_LANES], *at = write_table(frequencies, head);
    for (int lane = 0; lane < RANS_LANES; lane++, at += 4)
        rans_store32(at, states[lane]);
    size_t before = (size_t)(at - head), after = (size_t)(end - words);
    if (most < before + after)
        return 0;
    memcpy(out, head, before);
    memcpy(out + before, words, after);
    return before + after;
}

/* Begin to decode a block; 0 when its table or its states are damaged. */
static int begin(struct rans_stream *stream, const struct rans_block *from)
{
    stream->end = from->block + from->size;
    stream->words = read_table(from->block, stream->end, &stream->with);
    if (stream->words == NULL || stream->end - stream->words < 4 * RANS_LANES || (stream->end - stream->words) % 2)
        return 0;
    for (int lane = 0; lane < RANS_LANES; lane++, stream->words += 4)
        stream->states[lane] = rans_load32(stream->words);
    stream->rest = from->rest;
    stream->out = from->out;
    stream->rounds = from->count / RANS_LANES;
    return 1;
}

/* Decode what is left of a block; 0 unless it ends as it should. */
static int finish(struct rans_stream *stream, const struct rans_block *from)
{
    uint8_t tail[3 * RANS_ROUND] = {0};
    rans_loops()->decode(stream, NULL);
    size_t left = (size_t)(stream->end - stream->words);
    if (left > RANS_ROUND) /* all rounds ran */
        return 0;
    memcpy(tail, stream->words, left); /* zeros follow, so that the last rounds can read ahead */
    stream->words = tail;
    stream->end = tail + 2 * RANS_ROUND;
    rans_loops()->decode(stream, NULL);
    if (stream->rounds || stream->words > tail + left)
        return 0;
    for (size_t lane = 0; lane < from->count % RANS_LANES; lane++) {
        uint8_t symbol = rans_decode_one(&stream->with, &stream->states[lane], &stream->words);
        if (stream->rest)
            rans_merge16(stream->out + 2 * lane, symbol, stream->rest[lane]);
        else
            stream->out[lane] = symbol;
    }
    uint32_t wrong = 0;
    for (int lane = 0; lane < RANS_LANES; lane++)
        wrong |= stream->states[lane] ^ RANS_LOW;
    return stream->words == tail + left && wrong == 0;
}

int rans_decode(const struct rans_block *one, const struct rans_block *other)
{
    struct rans_stream first, second;
    if (!begin(&first, one) || (other && !begin(&second, other)))
        return 0;
    if (other)
        rans_loops()->decode(&first, &second);
    return finish(&first, one) && (other == NULL || finish(&second, other));
}

/* The difference codec's loops in plain C; difference_avx512.c has the fast ones. See difference.h. */
#include "difference.h"
#include "level.h"

#include <stdlib.h>

#define LANES DIFFERENCE_LANES
#define LEAST 0x10000u /* a state lies in [2^16, 2^32) between numbers; every lane starts, as the encoder sees it, here */

static int is_token(int width, int kind, unsigned token)
{
    return kind == 1 || token == DIFFERENCE_ESCAPE ||
           token < (1u << DIFFERENCE_DIRECT) + ((8u * (unsigned)width - DIFFERENCE_DIRECT) << DIFFERENCE_FINE);
}

int difference_sound(int width, const struct difference_tables *tables)
{
    if (tables->count < 1 || tables->count > 256)
        return 0;
    for (size_t each = 0; each < 256; each++)
        if (tables->map[each] >= tables->count)
            return 0;
    for (size_t each = 0; each < tables->count; each++) {
        uint32_t sum = 0;
        if (tables->kinds[each] > 1)
            return 0;
        for (unsigned token = 0; token < 256; token++) {
            uint32_t frequency = difference_get16(tables->frequencies + 2 * (256 * each + token));
            if (frequency && !is_token(width, tables->kinds[each], token))
                return 0;
            sum += frequency;
        }
        if (sum != DIFFERENCE_TOTAL)
            return 0;
    }
    return 1;
}

static void fill_tokens(struct difference_plan *plan, int width)
{
    memset(plan->tokens, 0, sizeof plan->tokens);
    memset(plan->raws, 0, sizeof plan->raws);
    for (unsigned token = 0; token < 256; token++) {
        plan->raws[1][token] = 8 * (uint32_t)width - 8;
        plan->tokens[1][token] = (uint32_t)token << (8 * width - 8);
        if (token < 1u << DIFFERENCE_DIRECT) {
            plan->tokens[0][token] = token;
        } else if (token != DIFFERENCE_ESCAPE && is_token(width, 0, token)) {
            unsigned over = token - (1u << DIFFERENCE_DIRECT), raw = DIFFERENCE_DIRECT - DIFFERENCE_FINE + (over >> 3);
            plan->raws[0][token] = raw;
            plan->tokens[0][token] = (uint32_t)(8 + (over & 7)) << raw;
        }
    }
    plan->raws[0][DIFFERENCE_ESCAPE] = 8 * (uint32_t)width;
}

int difference_prepare(struct difference_plan *plan, int width, const struct difference_tables *tables, int encode)
{
    plan->decoding = NULL;
    plan->encoding = NULL;
    plan->fast = width == 2 && kernel_level() >= LEVEL_AVX512;
    if (encode)
        plan->encoding = malloc(tables->count * 256 * sizeof *plan->encoding);
    else
        plan->decoding = malloc(tables->count * DIFFERENCE_TOTAL * sizeof *plan->decoding);
    if (!plan->encoding && !plan->decoding)
        return 0;
    fill_tokens(plan, width);
    for (size_t each = 0; each < 256; each++) {
        uint32_t table = tables->map[each];
        plan->places[each] = table * (encode ? 256 : DIFFERENCE_TOTAL) | (uint32_t)tables->kinds[table] << 31;
    }
    for (size_t each = 0; each < tables->count; each++) {
        uint32_t start = 0;
        for (uint32_t token = 0; token < 256; token++) {
            uint32_t frequency = difference_get16(tables->frequencies + 2 * (256 * each + token));
            if (encode) {
                uint64_t reciprocal = frequency > 1 ? 0x100000000u / frequency : 0xffffffffu;
                plan->encoding[256 * each + token] = reciprocal << 32 | start << 16 | frequency;
            } else {
                for (uint32_t place = 0; place < frequency; place++)
                    plan->decoding[DIFFERENCE_TOTAL * each + start + place] =
                        token << 24 | (frequency - 1) << DIFFERENCE_BITS | place;
            }
            start += frequency;
        }
    }
    return 1;
}

void difference_release(struct difference_plan *plan)
{
    free(plan->decoding);
    free(plan->encoding);
}

DIFFERENCE_INLINE void count(int width, int kind, const uint8_t *base, const uint8_t *data, size_t numbers,
                         const uint8_t *wanted, uint32_t *counts)
{
    for (size_t i = 0; i < numbers; i++) {
        uint32_t from = difference_get(width, base, i), exponent = difference_exponent(width, from), raw;
        if (!wanted[exponent])
            continue;
        uint32_t value = difference_value(width, kind ? 0 : from, difference_get(width, data, i));
        counts[exponent << 8 | difference_token(width, kind, value, &raw)]++;
    }
}

#if defined(__x86_64__)
/* Tokens a piece at a time; two tables of counts, since one that is added to twice at once makes the second wait. */
static size_t count_fast(int kind, const uint8_t *base, const uint8_t *data, size_t numbers, uint32_t *counts)
{
    enum { PIECE = 2048 };
    uint16_t places[PIECE];
    uint32_t *others = calloc(65536, sizeof *others);
    size_t done = 0;
    if (!others)
        return 0;
    for (; numbers - done >= 16;) {
        size_t piece = numbers - done < PIECE ? (numbers - done) / 16 * 16 : PIECE;
        difference_index_avx512(kind, base + 2 * done, data + 2 * done, piece, places);
        for (size_t i = 0; i < piece; i += 2) {
            counts[places[i]]++;
            others[places[i + 1]]++;
        }
        done += piece;
    }
    for (size_t each = 0; each < 65536; each++)
        counts[each] += others[each];
    free(others);
    return done;
}
#endif

void difference_count(int width, int kind, const uint8_t *base, const uint8_t *data, size_t numbers,
                      const uint8_t *wanted, uint32_t *counts)
{
    size_t done = 0;
#if defined(__x86_64__)
    if (width == 2 && kernel_level() >= LEVEL_AVX512 && !memchr(wanted, 0, 256))
        done = count_fast(kind, base, data, numbers, counts);
#endif
    base += (size_t)width * done;
    data += (size_t)width * done;
    if (width == 2)
        count(2, kind, base, data, numbers - done, wanted, counts);
    else
        count(4, kind, base, data, numbers - done, wanted, counts);
}

struct writer {
    uint8_t *start, *at; /* words are written from the end towards the start */
};

/* Writes the lower half of a state that is too full, `full` 1 or 0. Without a branch, which nobody could foretell: the
 * word is written in any case, and counts or does not. */
DIFFERENCE_INLINE uint32_t halve(struct writer *to, uint32_t x, uint32_t full)
{
    difference_put16(to->at - 2, x);
    to->at -= 2 * full;
    return x >> (16 * full);
}

DIFFERENCE_INLINE void push(struct writer *to, uint32_t *state, uint32_t value, uint32_t bits)
{
    uint32_t x = halve(to, *state, (uint64_t)*state >> (32 - bits) > 0);
    *state = x << bits | (value & ((1u << bits) - 1));
}

DIFFERENCE_INLINE int encode_row(int width, const struct difference_plan *plan, const uint8_t *base, const uint8_t *data,
                             size_t first, size_t lanes, struct writer *to, uint32_t *states)
{
    uint64_t entries[LANES];
    uint32_t values[LANES], raws[LANES];
    uint32_t others = 0, wide = 0; /* lanes, as bits */
    for (size_t lane = 0; lane < lanes; lane++) {
        uint32_t from = difference_get(width, base, first + lane);
        uint32_t place = plan->places[difference_exponent(width, from)], kind = place >> 31;
        const uint64_t *table = plan->encoding + (place & 0x7fffffff);
        uint32_t value = difference_value(width, kind ? 0 : from, difference_get(width, data, first + lane));
        uint64_t entry = table[difference_token(width, (int)kind, value, &raws[lane])];
        if (!(entry & 0xffff)) {
            entry = table[DIFFERENCE_ESCAPE];
            raws[lane] = 8 * (uint32_t)width;
            if (kind || !(entry & 0xffff))
                return 0;
        }
        entries[lane] = entry;
        values[lane] = value;
        others |= (uint32_t)(raws[lane] > 0) << lane;
        wide |= (uint32_t)(raws[lane] > 16) << lane;
    }
    for (; wide; wide ^= 1u << (31 - __builtin_clz(wide))) {
        int lane = 31 - __builtin_clz(wide);
        push(to, &states[lane], values[lane] >> 16, raws[lane] - 16);
    }
    for (; others; others ^= 1u << (31 - __builtin_clz(others))) {
        int lane = 31 - __builtin_clz(others);
        push(to, &states[lane], values[lane], raws[lane] < 16 ? raws[lane] : 16);
    }
    for (size_t lane = lanes; lane-- > 0;) {
        uint32_t frequency = (uint32_t)(entries[lane] & 0xffff);
        uint32_t start = (uint32_t)(entries[lane] >> 16) & 0xffff, reciprocal = (uint32_t)(entries[lane] >> 32);
        uint32_t x = halve(to, states[lane], states[lane] >> (32 - DIFFERENCE_BITS) >= frequency);
        uint32_t quotient = (uint32_t)((uint64_t)x * reciprocal >> 32), rest = x - quotient * frequency;
        uint32_t more = rest >= frequency;
        quotient += more;
        rest -= more * frequency;
        states[lane] = (quotient << DIFFERENCE_BITS) + rest + start;
    }
    return 1;
}

DIFFERENCE_INLINE ptrdiff_t encode(int width, const struct difference_plan *plan, const uint8_t *base, const uint8_t *data,
                               size_t numbers, uint8_t *out, size_t room)
{
    struct writer to = {out, out + room};
    uint32_t states[LANES];
    for (size_t lane = 0; lane < LANES; lane++)
        states[lane] = LEAST;
    for (size_t row = (numbers + LANES - 1) / LANES; row > 0;) {
#if defined(__x86_64__)
        if (plan->fast && row * LANES <= numbers)
            row = difference_encode_avx512(plan, base, data, row, states, to.start, &to.at);
        if (row == 0)
            break;
#endif
        size_t first = --row * LANES, lanes = numbers - first < LANES ? numbers - first : LANES;
        if ((size_t)(to.at - to.start) < 2 * DIFFERENCE_MOST + 2 ||
            !encode_row(width, plan, base, data, first, lanes, &to, states))
            return -1;
    }
    if ((size_t)(to.at - to.start) < 4 * LANES)
        return -1;
    for (size_t lane = LANES; lane-- > 0;)
        difference_put32(to.at -= 4, states[lane]);
    return out + room - to.at;
}

ptrdiff_t difference_encode(int width, const struct difference_plan *plan, const uint8_t *base, const uint8_t *data,
                            size_t numbers, uint8_t *out, size_t room)
{
    return width == 2 ? encode(2, plan, base, data, numbers, out, room) : encode(4, plan, base, data, numbers, out, room);
}

/* A state, filled up by the next word where it fell below 2^16; without a branch, which nobody could foretell. */
DIFFERENCE_INLINE uint32_t fill_up(uint32_t x, const uint8_t **words)
{
    uint32_t low = (uint32_t)(((uint64_t)x - LEAST) >> 63);
    uint32_t filled = x << (16 * low) | (difference_get16(*words) & -low);
    *words += 2 * low;
    return filled;
}

/* Up to 16 raw bits from a state. */
DIFFERENCE_INLINE uint32_t pull(uint32_t *state, uint32_t bits, const uint8_t **words)
{
    uint32_t value = *state & ((1u << bits) - 1);
    *state = fill_up(*state >> bits, words);
    return value;
}

/* One row; the caller made sure that DIFFERENCE_MOST words can be read. Most tokens are their own values: only a row
 * with others looks values and raw bits up. */
DIFFERENCE_INLINE void decode_row(int width, const struct difference_plan *plan, const uint8_t *base, uint8_t *out,
                              size_t lanes, uint32_t *states, const uint8_t **from)
{
    const uint8_t *words = *from;
    const uint32_t *const decoding = plan->decoding;
    uint32_t bases[LANES], values[LANES], raws[LANES], others = 0, wide = 0; /* lanes, as bits */
    for (size_t lane = 0; lane < lanes; lane++) {
        uint32_t number = difference_get(width, base, lane), x = states[lane];
        uint32_t place = plan->places[difference_exponent(width, number)];
        uint32_t entry = decoding[(place & 0x7fffffff) + (x & (DIFFERENCE_TOTAL - 1))];
        x = ((entry >> DIFFERENCE_BITS & (DIFFERENCE_TOTAL - 1)) + 1) * (x >> DIFFERENCE_BITS) +
            (entry & (DIFFERENCE_TOTAL - 1));
        states[lane] = fill_up(x, &words);
        bases[lane] = number;
        values[lane] = (place & 0x80000000) | entry >> 24;
        others |= (uint32_t)(values[lane] >= 1u << DIFFERENCE_DIRECT) << lane;
    }
    for (; others; others &= others - 1) {
        int lane = __builtin_ctz(others);
        uint32_t kind = values[lane] >> 31, token = values[lane] & 255, raw = plan->raws[kind][token];
        bases[lane] = kind ? 0 : bases[lane];
        values[lane] = plan->tokens[kind][token] + pull(&states[lane], raw < 16 ? raw : 16, &words);
        raws[lane] = raw;
        wide |= (uint32_t)(raw > 16) << lane;
    }
    for (; wide; wide &= wide - 1) {
        int lane = __builtin_ctz(wide);
        values[lane] += pull(&states[lane], raws[lane] - 16, &words) << 16;
    }
    for (size_t lane = 0; lane < lanes; lane++)
        difference_put(width, out, lane, difference_number(width, bases[lane], values[lane]));
    *from = words;
}

DIFFERENCE_INLINE int decode(int width, const struct difference_plan *plan, const uint8_t *base, const uint8_t *stream,
                         size_t size, uint8_t *out, size_t numbers)
{
    const uint8_t *words = stream + 4 * LANES, *end = stream + size;
    uint32_t states[LANES];
    if (size < 4 * LANES || size % 2)
        return 0;
    for (size_t lane = 0; lane < LANES; lane++)
        if ((states[lane] = difference_get32(stream + 4 * lane)) < LEAST)
            return 0;
    size_t row = 0, rows = (numbers + LANES - 1) / LANES, step = (size_t)width * LANES;
#if defined(__x86_64__)
    if (plan->fast)
        row = difference_decode_avx512(plan, base, out, numbers / LANES, states, &words, end);
#endif
    uint8_t last[2 * DIFFERENCE_MOST]; /* the last words again, with room behind them */
    for (; row < rows; row++) {
        size_t lanes = numbers - row * LANES < LANES ? numbers - row * LANES : LANES;
        if ((size_t)(end - words) >= 2 * DIFFERENCE_MOST) {
            if (lanes == LANES)
                decode_row(width, plan, base + row * step, out + row * step, LANES, states, &words);
            else
                decode_row(width, plan, base + row * step, out + row * step, lanes, states, &words);
            continue;
        }
        size_t left = (size_t)(end - words);
        memset(last, 0, sizeof last);
        memcpy(last, words, left);
        const uint8_t *at = last;
        decode_row(width, plan, base + row * step, out + row * step, lanes, states, &at);
        if ((size_t)(at - last) > left)
            return 0;
        words += at - last;
    }
    for (size_t lane = 0; lane < LANES; lane++)
        if (states[lane] != LEAST)
            return 0;
    return words == end;
}

int difference_decode(int width, const struct difference_plan *plan, const uint8_t *base, const uint8_t *stream,
                      size_t size, uint8_t *out, size_t numbers)
{
    return width == 2 ? decode(2, plan, base, stream, size, out, numbers)
                      : decode(4, plan, base, stream, size, out, numbers);
}

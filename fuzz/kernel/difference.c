/* Encoding 4's core: unsound tables are refused; with sound ones any stream is decoded alike by every instruction set,
 * without a step outside the buffers; what is encoded comes back.
 * An input: u8 width and how tables are made, u8 tables, u16 numbers; a map's 256 bytes (each modulo the tables); for
 * each table u8 kind and 32 tokens with a weight each; then the base's numbers, and the rest is the stream. */
#include <stdlib.h>
#include <string.h>

#include "difference.h"
#include "level.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum level levels[] = {LEVEL_SCALAR, LEVEL_AVX512};

struct input {
    const uint8_t *at, *end;
};

static uint8_t take(struct input *from)
{
    return from->at < from->end ? *from->at++ : 0;
}

static uint8_t *taken(struct input *from, size_t size)
{
    uint8_t *to = calloc(size + !size, 1);
    size_t left = (size_t)(from->end - from->at), held = left < size ? left : size;
    if (to == NULL)
        abort();
    if (held)
        memcpy(to, from->at, held);
    from->at += held;
    return to;
}

/* Frequencies from weights that add up to 4096, unless the input wants them as they are. */
static void table(struct input *from, uint8_t *frequencies, int as_given)
{
    uint32_t counts[256] = {0}, sum = 0, left = DIFFERENCE_TOTAL;
    for (int each = 0; each < 32; each++) {
        uint8_t token = take(from), weight = take(from);
        counts[token] += weight;
        sum += weight;
    }
    int last = -1;
    for (int token = 0; token < 256; token++)
        if (counts[token]) {
            uint32_t share = as_given ? counts[token] : counts[token] * DIFFERENCE_TOTAL / sum;
            share = share < 1 ? 1 : share > left ? left : share;
            counts[token] = share;
            left -= as_given ? 0 : share;
            last = token;
        }
    if (!as_given)
        counts[last < 0 ? 0 : last] += left;
    for (int token = 0; token < 256; token++)
        difference_put16(frequencies + 2 * token, counts[token]);
}

static void decode(int width, const struct difference_tables *tables, const uint8_t *base, size_t numbers,
                   const uint8_t *stream, size_t size)
{
    uint8_t *first = NULL;
    int verdict = 0;
    for (size_t at = 0; at < sizeof levels / sizeof *levels; at++) {
        struct difference_plan plan;
        size_t length = numbers * (size_t)width;
        kernel_limit(levels[at]);
        uint8_t *out = calloc(length + !length, 1);
        if (out == NULL || !difference_prepare(&plan, width, tables, 0))
            abort();
        int right = difference_decode(width, &plan, base, stream, size, out, numbers);
        difference_release(&plan);
        if (at && (right != verdict || (right && memcmp(out, first, length) != 0)))
            abort();
        verdict = right;
        free(first);
        first = out;
    }
    free(first);
}

static void encode(int width, const struct difference_tables *tables, const uint8_t *base, const uint8_t *data,
                   size_t numbers)
{
    size_t length = numbers * (size_t)width, room = 2 * length + 1024;
    uint8_t *streams[2] = {NULL, NULL}, *back = calloc(length + !length, 1);
    ptrdiff_t sizes[2] = {-1, -1};
    for (size_t at = 0; at < 2; at++) {
        struct difference_plan plan;
        kernel_limit(levels[at]);
        if (back == NULL || (streams[at] = malloc(room)) == NULL || !difference_prepare(&plan, width, tables, 1))
            abort();
        sizes[at] = difference_encode(width, &plan, base, data, numbers, streams[at], room);
        difference_release(&plan);
        if (sizes[at] > (ptrdiff_t)room || sizes[at] != sizes[0])
            abort();
    }
    if (sizes[0] >= 0) {
        const uint8_t *stream = streams[0] + room - sizes[0];
        struct difference_plan plan;
        if (memcmp(stream, streams[1] + room - sizes[0], (size_t)sizes[0]) != 0)
            abort();
        if (!difference_prepare(&plan, width, tables, 0))
            abort();
        if (!difference_decode(width, &plan, base, stream, (size_t)sizes[0], back, numbers) ||
            memcmp(back, data, length) != 0)
            abort();
        difference_release(&plan);
    }
    free(streams[0]);
    free(streams[1]);
    free(back);
}

static void count(int width, int kind, const uint8_t *base, const uint8_t *data, size_t numbers, const uint8_t *wanted)
{
    uint32_t *first = calloc(65536, sizeof *first), *second = calloc(65536, sizeof *second);
    if (first == NULL || second == NULL)
        abort();
    kernel_limit(LEVEL_SCALAR);
    difference_count(width, kind, base, data, numbers, wanted, first);
    kernel_limit(LEVEL_AVX512);
    difference_count(width, kind, base, data, numbers, wanted, second);
    if (memcmp(first, second, 65536 * sizeof *first) != 0)
        abort();
    free(first);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input from = {data, data + size};
    uint8_t how = take(&from), map[256], kinds[8], *frequencies, *base, *numbers_given, wanted[256];
    int width = how & 1 ? 4 : 2;
    size_t tables_count = take(&from) % 8 + 1, numbers = take(&from) | (size_t)(take(&from) & 3) << 8;
    for (int each = 0; each < 256; each++)
        map[each] = how & 2 ? take(&from) : (uint8_t)((size_t)each * tables_count / 256);
    frequencies = malloc(512 * tables_count);
    if (frequencies == NULL)
        abort();
    for (size_t each = 0; each < tables_count; each++) {
        kinds[each] = how & 4 ? take(&from) : take(&from) & 1;
        table(&from, frequencies + 512 * each, how & 8);
    }
    struct difference_tables tables = {tables_count, map, kinds, frequencies};
    base = taken(&from, numbers * (size_t)width);
    size_t left = (size_t)(from.end - from.at);
    uint8_t *stream = taken(&from, left);
    from.at = from.end - left;
    numbers_given = taken(&from, numbers * (size_t)width);
    memset(wanted, how & 16 ? 0 : 1, sizeof wanted);
    wanted[how] = 1;
    if (difference_sound(width, &tables)) {
        decode(width, &tables, base, numbers, stream, left);
        encode(width, &tables, base, numbers_given, numbers);
        encode(width, &tables, base, base, numbers);
    }
    count(width, how >> 5 & 1, base, numbers_given, numbers, wanted);
    free(frequencies);
    free(base);
    free(stream);
    free(numbers_given);
    return 0;
}

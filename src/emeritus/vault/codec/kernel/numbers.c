/* Encoding and decoding numbers plane by plane, a block at a time so that all of it stays in the cache. */
#include "numbers.h"

#include <stdlib.h>
#include <string.h>

#include "planes.h"
#include "rans.h"

enum { RAW = 0, CONSTANT = 1, RANS = 2 };
enum { STRETCHES = 16, STRETCH = 256, PIECE = 2 * RANS_BLOCK };

int numbers_fit(size_t length, int layout)
{
    return (layout == 1 || layout == 2 || layout == 4 || layout == 8) && length % (size_t)layout == 0;
}

size_t numbers_bound(size_t length, int layout)
{
    return 1 + length + (size_t)layout;
}

static size_t at_most(size_t most, size_t count)
{
    return count < most ? count : most;
}

/* What a plane looks like, from 4096 of each block's symbols: CONSTANT (perhaps), RAW (noise), or RANS.
 * Noise: two of the symbols are equal hardly more often than two of 256 at random, so that less than 1.1 % is to gain. */
static int judge(const uint8_t *data, size_t count, int layout, int plane)
{
    uint32_t counts[256], part[256];
    uint8_t sample[STRETCHES * STRETCH];
    uint64_t drawn = 0, pairs = 0;
    memset(counts, 0, sizeof counts);
    for (size_t start = 0; start < count; start += RANS_BLOCK) {
        size_t length = at_most(RANS_BLOCK, count - start), taken = 0;
        if (length <= sizeof sample) {
            planes_split(data + start * (size_t)layout, length, layout, plane, sample);
            taken = length;
        }
        else
            for (size_t each = 0; each < STRETCHES; each++, taken += STRETCH)
                planes_split(data + (start + each * (length / STRETCHES)) * (size_t)layout, STRETCH, layout, plane,
                        sample + taken);
        rans_count(sample, taken, part, NULL); /* too few for pairs */
        for (int symbol = 0; symbol < 256; symbol++)
            counts[symbol] += part[symbol];
        drawn += taken;
    }
    for (int symbol = 0; symbol < 256; symbol++) {
        if (drawn && counts[symbol] == drawn)
            return CONSTANT;
        pairs += (uint64_t)counts[symbol] * counts[symbol];
    }
    return 4096 * (pairs - drawn) <= 17 * drawn * drawn ? RAW : RANS;
}

/* Memory of one call: a block's symbols, and what coding them takes. */
struct room {
    uint8_t symbols[RANS_BLOCK];
    struct rans_room coding;
};

/* Append one block to `at`, which must not pass `limit`; NULL when it would. */
static uint8_t *append(struct room *room, size_t length, uint8_t *at, const uint8_t *limit)
{
    if (limit - at < 4)
        return NULL;
    size_t size = rans_encode(room->symbols, length, at + 4, (size_t)(limit - at) - 4, &room->coding);
    if (size == 0)
        return NULL;
    rans_store32(at, (uint32_t)size);
    return at + 4 + size;
}

static int is_constant(const uint8_t *data, size_t count, int layout, int plane, struct room *room)
{
    for (size_t start = 0; start < count; start += RANS_BLOCK) {
        size_t length = at_most(RANS_BLOCK, count - start);
        uint8_t before = room->symbols[0];
        planes_split(data + start * (size_t)layout, length, layout, plane, room->symbols);
        if ((start && room->symbols[0] != before) || memcmp(room->symbols, room->symbols + 1, length - 1) != 0)
            return 0;
    }
    return 1;
}

static uint8_t *encode_plane(const uint8_t *data, size_t count, int layout, int plane, uint8_t *out, struct room *room)
{
    int method = judge(data, count, layout, plane);
    if (method == CONSTANT && is_constant(data, count, layout, plane, room)) {
        *out++ = CONSTANT;
        *out++ = room->symbols[0];
        return out;
    }
    if (method != RAW) {
        uint8_t *at = out + 1;
        for (size_t start = 0; start < count && at; start += RANS_BLOCK) {
            size_t length = at_most(RANS_BLOCK, count - start);
            planes_split(data + start * (size_t)layout, length, layout, plane, room->symbols);
            at = append(room, length, at, out + count);
        }
        if (at) {
            *out = RANS;
            return at;
        }
    }
    *out = RAW;
    planes_split(data, count, layout, plane, out + 1);
    return out + 1 + count;
}

/* 16-bit numbers whose rest is noise and whose symbols are not: both planes in one pass. NULL when it does not pay. */
static uint8_t *encode16(const uint8_t *data, size_t count, uint8_t *out, struct room *room)
{
    if (judge(data, count, 2, 0) != RAW || judge(data, count, 2, 1) != RANS)
        return NULL;
    uint8_t *rest = out + 1, *symbols = rest + count, *at = symbols + 1;
    *out = RAW;
    *symbols = RANS;
    for (size_t start = 0; start < count; start += RANS_BLOCK) {
        size_t length = at_most(RANS_BLOCK, count - start);
        rans_loops()->split16(data + 2 * start, length, room->symbols, rest + start);
        if ((at = append(room, length, at, symbols + count)) == NULL)
            return NULL;
    }
    return at;
}

size_t numbers_encode(const uint8_t *data, size_t length, int layout, uint8_t *out)
{
    struct room *room = malloc(sizeof *room);
    if (room == NULL)
        return 0;
    size_t count = length / (size_t)layout;
    uint8_t *at = NULL;
    *out = (uint8_t)layout;
    if (layout == 2)
        at = encode16(data, count, out + 1, room);
    if (at == NULL) {
        at = out + 1;
        for (int plane = 0; plane < layout; plane++)
            at = encode_plane(data, count, layout, plane, at, room);
    }
    free(room);
    return (size_t)(at - out);
}

/* A plane while it is read: where its next bytes stand. */
struct plane {
    int method;
    const uint8_t *at;
};

/* Find where every plane lies; 0 when they do not fill `stored` exactly. */
static int find(const uint8_t *stored, size_t size, size_t count, int layout, struct plane *planes)
{
    const uint8_t *at = stored, *end = stored + size;
    for (int plane = 0; plane < layout; plane++) {
        if (at == end)
            return 0;
        planes[plane].method = *at++;
        planes[plane].at = at;
        if (planes[plane].method == RAW || planes[plane].method == CONSTANT) {
            size_t taken = planes[plane].method == RAW ? count : 1;
            if ((size_t)(end - at) < taken)
                return 0;
            at += taken;
        } else if (planes[plane].method == RANS) {
            for (size_t start = 0; start < count; start += RANS_BLOCK) {
                if (end - at < 4 || (size_t)(end - at - 4) < rans_load32(at))
                    return 0;
                at += 4 + rans_load32(at);
            }
        } else {
            return 0;
        }
    }
    return at == end;
}

/* Decode the next `length` symbols of a plane, of one block or two, merged with `rest` where that is not NULL. */
static int decode_plane(struct plane *plane, size_t length, const uint8_t *rest, uint8_t *out)
{
    struct rans_block blocks[2];
    int count = 0;
    for (size_t start = 0; start < length; start += RANS_BLOCK, count++) {
        size_t size = rans_load32(plane->at);
        blocks[count] = (struct rans_block){plane->at + 4, size, rest ? rest + start : NULL,
                                            out + (rest ? 2 : 1) * start, at_most(RANS_BLOCK, length - start)};
        plane->at += 4 + size;
    }
    return rans_decode(&blocks[0], count == 2 ? &blocks[1] : NULL);
}

/* The next `length` bytes of a plane, in place or decoded into `room`; NULL when they are damaged. */
static const uint8_t *next(struct plane *plane, size_t length, uint8_t *room)
{
    const uint8_t *at = plane->at;
    if (plane->method == RAW) {
        plane->at += length;
        return at;
    }
    if (plane->method == CONSTANT) {
        memset(room, *at, length);
        return room;
    }
    return decode_plane(plane, length, NULL, room) ? room : NULL;
}

static int decode_piece(struct plane *planes, size_t length, int layout, uint8_t *room, uint8_t *out)
{
    const uint8_t *from[PLANES_MOST];
    struct plane *last = &planes[layout - 1];
    if (layout == 2 && planes[0].method == RAW && last->method == RANS)
        return decode_plane(last, length, next(&planes[0], length, NULL), out);
    if (layout == 1) {
        if ((from[0] = next(last, length, out)) != NULL && from[0] != out)
            memcpy(out, from[0], length);
        return from[0] != NULL;
    }
    for (int plane = 0; plane < layout; plane++)
        if ((from[plane] = next(&planes[plane], length, room + (size_t)plane * PIECE)) == NULL)
            return 0;
    planes_merge(from, length, layout, out);
    return 1;
}

/* Decode piece by piece: into `out`, or where that is NULL compare each piece with `expected`, which stays in the cache. */
static int walk(const uint8_t *stored, size_t size, uint8_t *out, const uint8_t *expected, size_t length)
{
    struct plane planes[PLANES_MOST];
    int layout = size ? stored[0] : 0, right = 1;
    if (!numbers_fit(length, layout))
        return 0;
    size_t count = length / (size_t)layout, whole = (size_t)layout * PIECE;
    if (!find(stored + 1, size - 1, count, layout, planes))
        return 0;
    uint8_t *room = malloc(out ? whole : 2 * whole);
    if (room == NULL)
        return -1;
    for (size_t start = 0; start < count && right; start += PIECE) {
        size_t piece = at_most(PIECE, count - start), at = start * (size_t)layout;
        uint8_t *target = out ? out + at : room + whole;
        right = decode_piece(planes, piece, layout, room, target) &&
                (out || memcmp(target, expected + at, piece * (size_t)layout) == 0);
    }
    free(room);
    return right;
}

int numbers_decode(const uint8_t *stored, size_t size, uint8_t *out, size_t length)
{
    uint8_t nothing;
    return walk(stored, size, length ? out : &nothing, NULL, length);
}

/* Move every plane on by whole blocks: `count` symbols of it. */
static void skip(struct plane *planes, int layout, size_t count)
{
    for (int plane = 0; plane < layout; plane++) {
        if (planes[plane].method == RAW)
            planes[plane].at += count;
        for (size_t start = 0; planes[plane].method == RANS && start < count; start += RANS_BLOCK)
            planes[plane].at += 4 + rans_load32(planes[plane].at);
    }
}

int numbers_decode_piece(const uint8_t *stored, size_t size, uint8_t *out, size_t length, size_t begin, size_t *end)
{
    struct plane planes[PLANES_MOST];
    int layout = size ? stored[0] : 0;
    if (!numbers_fit(length, layout))
        return 0;
    size_t count = length / (size_t)layout, whole = (size_t)layout * PIECE;
    if (begin % whole || begin >= length || !find(stored + 1, size - 1, count, layout, planes))
        return 0;
    uint8_t *room = malloc(whole);
    if (room == NULL)
        return -1;
    skip(planes, layout, begin / (size_t)layout);
    *end = begin + at_most(whole, length - begin);
    int right = decode_piece(planes, (*end - begin) / (size_t)layout, layout, room, out + begin);
    free(room);
    return right;
}

int numbers_prove(const uint8_t *stored, size_t size, const uint8_t *data, size_t length)
{
    return walk(stored, size, NULL, data, length);
}

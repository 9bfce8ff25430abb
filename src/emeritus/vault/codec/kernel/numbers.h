/* Numbers as planes of bytes, each kept in the cheapest of three ways (docs/format.md, encoding 3). Knows no Python. */
#ifndef EMERITUS_NUMBERS_H
#define EMERITUS_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

/* Whether a layout is known, and `length` bytes are whole numbers of it. */
int numbers_fit(size_t length, int layout);

/* The most bytes that `length` bytes of numbers take. */
size_t numbers_bound(size_t length, int layout);

/* Encode into `out`, which holds numbers_bound() bytes; gives how many it took, 0 when there is no memory. */
size_t numbers_encode(const uint8_t *data, size_t length, int layout, uint8_t *out);

/* Decode exactly `length` bytes. 1, 0 when `stored` is not what `numbers_encode` writes, -1 when there is no memory. */
int numbers_decode(const uint8_t *stored, size_t size, uint8_t *out, size_t length);

/* The same for the next piece alone, from `begin`, 0 or where the piece before it ended; `end` is where this one does.
 * What has been decoded so far can be looked at while it is in the cache. 0 also when no piece begins there. */
int numbers_decode_piece(const uint8_t *stored, size_t size, uint8_t *out, size_t length, size_t begin, size_t *end);

/* Whether `stored` decodes to exactly `data`: 1 or 0, -1 when there is no memory. Takes no memory for all of it. */
int numbers_prove(const uint8_t *stored, size_t size, const uint8_t *data, size_t length);

#endif

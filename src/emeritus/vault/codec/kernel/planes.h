/* Numbers apart into planes of bytes and together again (docs/format.md, encoding 3). Knows no Python and no coder. */
#ifndef EMERITUS_PLANES_H
#define EMERITUS_PLANES_H

#include <stddef.h>
#include <stdint.h>

enum { PLANES_MOST = 8 };

/* One plane of `count` numbers of `layout` bytes, 1, 2, 4 or 8: the low bytes from the lowest up, then of the highest
 * two the rest (the sign and the low seven bits), last the symbol (the eight bits between). Layout 1 is one plane. */
void planes_split(const uint8_t *data, size_t count, int layout, int plane, uint8_t *out);

/* The numbers of `layout` bytes, 2, 4 or 8, that have these planes. */
void planes_merge(const uint8_t *const from[PLANES_MOST], size_t count, int layout, uint8_t *out);

#endif

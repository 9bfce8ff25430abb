/* Sums of products over GF(2^8), over whole buffers. Knows no Python, no matrix's meaning and no packs. */
#ifndef EMERITUS_REED_SOLOMON_H
#define EMERITUS_REED_SOLOMON_H

#include <stddef.h>
#include <stdint.h>

enum { FIELD_STRIP = 16384, FIELD_WIDTH = 64, FIELD_MOST = 255, FIELD_ROWS = 4 };

/* One coefficient, prepared: 64 copies of it for gf2p8mulb, or its products with the low and with the high nibbles. */
typedef struct {
    uint8_t bytes[FIELD_WIDTH];
} field_factor;

struct field_source {
    const uint8_t *data;
    size_t length;
};

/* What one sum works on: 1 to FIELD_MOST sources, as many targets of `length` bytes each, a byte of `matrix` for each
 * pair, row by row; `factors` has room for the matrix, `spare` FIELD_STRIP bytes for each source and FIELD_ROWS more. */
struct field_work {
    const uint8_t *matrix;
    const struct field_source *sources;
    uint8_t *const *targets;
    size_t columns, rows, length;
    field_factor *factors;
    uint8_t *spare;
};

/* targets[r] (+)= sum over c of matrix[r * columns + c] * sources[c]; a source that ends early goes on as zeros, a
 * longer one is cut. Targets overlap nothing. */
void field_combine(const struct field_work *all, int add);

#endif

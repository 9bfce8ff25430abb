/* Byte shuffles for eight 16-bit words by a mask of eight lanes, written out by the preprocessor: for instruction sets
 * that cannot expand and compress. An index of 0x80 gives zero, with pshufb and with tbl. */
#ifndef EMERITUS_RANS_SHUFFLES_H
#define EMERITUS_RANS_SHUFFLES_H

#include <stdint.h>

#define BELOW(mask, lane) __builtin_popcount((mask) & ((1 << (lane)) - 1))
#define WORD(index) (0x100 + 0x202 * (index)) /* the two bytes of a word */

/* The lane that is the n-th of a mask, or 0. */
#define IS_NTH(mask, n, lane) ((lane) * (((mask) >> (lane) & 1) && BELOW(mask, lane) == (n)))
#define NTH(mask, n)                                                                                             \
    (IS_NTH(mask, n, 1) + IS_NTH(mask, n, 2) + IS_NTH(mask, n, 3) + IS_NTH(mask, n, 4) + IS_NTH(mask, n, 5) +    \
     IS_NTH(mask, n, 6) + IS_NTH(mask, n, 7))

#define SPREAD(mask, lane) ((mask) >> (lane) & 1 ? WORD(BELOW(mask, lane)) : 0x8080)
#define TO_TOP(mask, place) \
    ((place) + BELOW(mask, 8) < 8 ? 0x8080 : WORD(NTH(mask, (place) + BELOW(mask, 8) - 8)))

#define ROW(cell, mask)                                                                                            \
    {cell(mask, 0), cell(mask, 1), cell(mask, 2), cell(mask, 3), cell(mask, 4), cell(mask, 5), cell(mask, 6), cell(mask, 7)}
#define ROWS_4(cell, mask) ROW(cell, mask), ROW(cell, (mask) + 1), ROW(cell, (mask) + 2), ROW(cell, (mask) + 3)
#define ROWS_16(cell, mask) \
    ROWS_4(cell, mask), ROWS_4(cell, (mask) + 4), ROWS_4(cell, (mask) + 8), ROWS_4(cell, (mask) + 12)
#define ROWS_64(cell, mask) \
    ROWS_16(cell, mask), ROWS_16(cell, (mask) + 16), ROWS_16(cell, (mask) + 32), ROWS_16(cell, (mask) + 48)
#define ROWS_256(cell) ROWS_64(cell, 0), ROWS_64(cell, 64), ROWS_64(cell, 128), ROWS_64(cell, 192)

/* The next words go to the lanes of the mask, in order; the others are zero. */
static const uint16_t rans_spread[256][8] = {ROWS_256(SPREAD)};

/* The words of the mask's lanes, in order, to the highest places. */
static const uint16_t rans_to_top[256][8] = {ROWS_256(TO_TOP)};

#endif

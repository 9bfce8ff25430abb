/* Sums over GF(2^8): every instruction set gives the bytes that multiplying one by one gives, and stays in its buffers.
 * An input: u8 rows, u8 columns, u16 length, u8 add and whether the length may pass a strip, the matrix, then u8 length of each source, and their bytes. */
#include <stdlib.h>
#include <string.h>

#include "level.h"
#include "reed_solomon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum level levels[] = {LEVEL_SCALAR, LEVEL_AVX2, LEVEL_AVX512};

enum { MOST_ROWS = 9, MOST_COLUMNS = 20 };

static uint8_t times(uint8_t left, uint8_t right)
{
    unsigned sum = 0;
    for (int bit = 7; bit >= 0; bit--) {
        sum = (sum << 1) ^ (sum & 0x80 ? 0x11B : 0);
        sum ^= right >> bit & 1 ? left : 0;
    }
    return (uint8_t)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5)
        return 0;
    size_t rows = data[0] % MOST_ROWS + 1, columns = data[1] % MOST_COLUMNS + 1;
    size_t length = (data[2] | (size_t)data[3] << 8) % (data[4] & 128 ? FIELD_STRIP + 300 : 600);
    int add = data[4] & 1;
    const uint8_t *at = data + 5, *end = data + size;
    uint8_t matrix[MOST_ROWS * MOST_COLUMNS], *copies[MOST_COLUMNS], *targets[MOST_ROWS], *right;
    struct field_source sources[MOST_COLUMNS];
    for (size_t each = 0; each < rows * columns; each++)
        matrix[each] = at < end ? *at++ : (uint8_t)(each * 37);
    for (size_t column = 0; column < columns; column++) {
        size_t held = (at < end ? *at++ : 255) * (length + 20) / 255;
        copies[column] = malloc(held + !held);
        for (size_t each = 0; each < held; each++)
            copies[column][each] = at < end ? at[each % (size_t)(end - at)] : (uint8_t)(each * 11 + column);
        sources[column] = (struct field_source){copies[column], held};
    }
    right = malloc(length + !length);
    struct field_work work = {matrix, sources, targets, columns, rows, length, NULL, NULL};
    work.factors = malloc(rows * columns * sizeof(field_factor));
    work.spare = malloc((columns + FIELD_ROWS) * FIELD_STRIP);
    for (size_t which = 0; which < sizeof levels / sizeof *levels; which++) {
        kernel_limit(levels[which]);
        if (kernel_level() != levels[which])
            continue;
        for (size_t row = 0; row < rows; row++) {
            targets[row] = malloc(length + !length);
            memset(targets[row], (int)row + 3, length);
        }
        field_combine(&work, add);
        for (size_t row = 0; row < rows; row++) {
            memset(right, add ? (int)row + 3 : 0, length);
            for (size_t column = 0; column < columns; column++)
                for (size_t each = 0; each < length && each < sources[column].length; each++)
                    right[each] ^= times(matrix[row * columns + column], copies[column][each]);
            if (memcmp(right, targets[row], length) != 0)
                abort();
            free(targets[row]);
        }
    }
    for (size_t column = 0; column < columns; column++)
        free(copies[column]);
    free(right);
    free(work.factors);
    free(work.spare);
    return 0;
}

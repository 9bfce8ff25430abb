/* Encoding 3: every instruction set gives the same verdict and bytes; what is encoded comes back.
 * An input: u16 decoded length, u8 255 where it is 32 times that, then the stored bytes; the same bytes are also taken as numbers, their layout by the
 * same u8. */
#include <stdlib.h>
#include <string.h>

#include "level.h"
#include "numbers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum level levels[] = {LEVEL_SCALAR, LEVEL_NEON, LEVEL_AVX2, LEVEL_AVX512};

static uint8_t *copy(const uint8_t *from, size_t size)
{
    uint8_t *to = malloc(size + !size);
    if (to == NULL)
        abort();
    if (size)
        memcpy(to, from, size);
    return to;
}

static void decode(const uint8_t *stored, size_t size, size_t length)
{
    uint8_t *given = copy(stored, size), *first = calloc(length + 1, 1);
    int verdict = -2;
    for (size_t at = 0; at < sizeof levels / sizeof *levels; at++) {
        kernel_limit(levels[at]);
        if (kernel_level() != levels[at])
            continue;
        uint8_t *out = malloc(length + !length); /* exactly as long: a write behind the end is seen */
        if (out == NULL || first == NULL)
            abort();
        int right = numbers_decode(given, size, out, length);
        uint8_t *pieces = malloc(length + !length);
        size_t end = 0;
        int each = 1;
        for (size_t begin = 0; begin < length && each == 1; begin = end)
            each = numbers_decode_piece(given, size, pieces, length, begin, &end);
        if (length && (each != right || (each == 1 && memcmp(pieces, out, length) != 0)))
            abort();
        free(pieces);
        if (verdict == -2) {
            verdict = right;
            if (right == 1)
                memcpy(first, out, length);
        } else if (right != verdict || (right == 1 && memcmp(first, out, length) != 0)) {
            abort();
        }
        free(out);
    }
    free(given);
    free(first);
}

static void encode(const uint8_t *data, size_t size, int layout)
{
    size_t length = size / (size_t)layout * (size_t)layout, bound = numbers_bound(length, layout), taken = 0;
    uint8_t *given = copy(data, length), *first = NULL;
    for (size_t at = 0; at < sizeof levels / sizeof *levels; at++) {
        kernel_limit(levels[at]);
        if (kernel_level() != levels[at])
            continue;
        uint8_t *out = malloc(bound);
        size_t found = out ? numbers_encode(given, length, layout, out) : 0;
        if (found == 0 || found > bound)
            abort();
        if (first == NULL) {
            first = copy(out, found);
            taken = found;
            uint8_t *back = malloc(length + !length);
            if (back == NULL || numbers_decode(first, taken, back, length) != 1 || memcmp(back, given, length) != 0)
                abort();
            free(back);
        } else if (found != taken || memcmp(first, out, found) != 0) {
            abort();
        }
        free(out);
    }
    free(first);
    free(given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    size_t length = data[0] | (size_t)data[1] << 8;
    if (data[2] == 255)
        length <<= 5; /* up to 2 MiB: more than two blocks of each plane */
    decode(data + 3, size - 3, length);
    encode(data + 3, size - 3, 1 << (data[2] & 3));
    return 0;
}

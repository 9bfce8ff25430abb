/* Runs the numbers codec without Python, on another machine than this: reads cases from standard input, answers each.
 * A case: u32 layout (0: decode), u32 bytes that follow, u32 decoded length (when decoding), the bytes.
 * The answer: u32 length and the encoded bytes; when decoding, 1 and the numbers, or 0. */
#include <stdio.h>
#include <stdlib.h>

#include "level.h"
#include "numbers.h"
#include "rans.h"

static void *must(void *found)
{
    if (found == NULL)
        exit(3);
    return found;
}

static int read_u32(uint32_t *value)
{
    uint8_t bytes[4];
    if (fread(bytes, 1, 4, stdin) != 4)
        return 0;
    *value = rans_load32(bytes);
    return 1;
}

static void answer(uint32_t first, const uint8_t *bytes, size_t length)
{
    uint8_t word[4];
    rans_store32(word, first);
    fwrite(word, 1, 4, stdout);
    fwrite(bytes, 1, length, stdout);
}

int main(int count, char **arguments)
{
    uint32_t layout, size, length;
    if (count > 1)
        kernel_limit((enum level)atoi(arguments[1]));
    while (read_u32(&layout) && read_u32(&size) && read_u32(&length)) {
        uint8_t *given = must(malloc(size + 1)), *out = must(malloc(layout ? numbers_bound(size, 8) : length + 1));
        if (fread(given, 1, size, stdin) != size)
            return 2;
        if (layout) {
            size_t taken = numbers_encode(given, size, (int)layout, out);
            answer((uint32_t)taken, out, taken);
        } else {
            int right = numbers_decode(given, size, out, length);
            answer((uint32_t)right, out, right ? length : 0);
        }
        free(given);
        free(out);
    }
    fprintf(stderr, "%d\n", (int)kernel_level());
    return 0;
}

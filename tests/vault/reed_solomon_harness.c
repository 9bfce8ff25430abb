/* Sums over GF(2^8) by one instruction set, over seeded cases; prints a hash of every result. Argument: the level. */
#include "reed_solomon.c"
#include <stdio.h>
#include <stdlib.h>

static uint64_t state = 88172645463325252u;

static uint32_t chance(void) /* xorshift64: the same everywhere */
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static void fill(Py_buffer *buffer, size_t length)
{
    buffer->len = (Py_ssize_t)length;
    buffer->buf = malloc(length + 1);
    for (size_t at = 0; at < length; at++)
        ((uint8_t *)buffer->buf)[at] = (uint8_t)chance();
}

enum level kernel_level(void)
{
    return LEVEL_SCALAR;
}

int main(int count, char **arguments)
{
    enum level level = (enum level)atoi(count > 1 ? arguments[1] : "0");
    uint64_t hash = 14695981039346656037u;
    for (int trial = 0; trial < 150; trial++) {
        Py_buffer sources[20], targets[7];
        work all = {0};
        all.columns = 1 + chance() % 20, all.rows = 1 + chance() % 7, all.length = 1 + chance() % 40000;
        for (size_t column = 0; column < all.columns; column++)
            fill(&sources[column], chance() % 2 ? all.length : chance() % (all.length + 100));
        for (size_t row = 0; row < all.rows; row++)
            fill(&targets[row], all.length);
        all.sources = sources, all.targets = targets;
        all.factors = malloc(sizeof(factor) * all.rows * all.columns);
        all.spare = malloc((all.columns + ROWS) * STRIP);
        for (size_t each = 0; each < all.rows * all.columns; each++)
            prepare(&all.factors[each], (uint8_t)chance(), level);
        combine_all(&all, level, (int)(chance() % 2));
        for (size_t row = 0; row < all.rows; row++)
            for (size_t at = 0; at < all.length; at++)
                hash = (hash ^ ((uint8_t *)targets[row].buf)[at]) * 1099511628211u;
        for (size_t column = 0; column < all.columns; column++)
            free(sources[column].buf);
        for (size_t row = 0; row < all.rows; row++)
            free(targets[row].buf);
        free(all.factors);
        free(all.spare);
    }
    printf("%016llx\n", (unsigned long long)hash);
    return 0;
}

/* Sums over GF(2^8) by one instruction set, over seeded cases; prints a hash of every result. Argument: the level. */
#include "reed_solomon.c"
#include <stdio.h>
#include <stdlib.h>

static uint64_t state = 88172645463325252u;
static enum level asked;

static uint32_t chance(void) /* xorshift64: the same everywhere */
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static uint8_t *filled(size_t length)
{
    uint8_t *data = malloc(length + 1);
    for (size_t at = 0; at < length; at++)
        data[at] = (uint8_t)chance();
    return data;
}

enum level kernel_level(void)
{
    return asked;
}

int main(int count, char **arguments)
{
    asked = (enum level)atoi(count > 1 ? arguments[1] : "0");
    uint64_t hash = 14695981039346656037u;
    for (int trial = 0; trial < 150; trial++) {
        struct field_source sources[20];
        uint8_t *targets[7];
        struct field_work all = {0};
        all.columns = 1 + chance() % 20, all.rows = 1 + chance() % 7, all.length = 1 + chance() % 40000;
        for (size_t column = 0; column < all.columns; column++) {
            sources[column].length = chance() % 2 ? all.length : chance() % (all.length + 100);
            sources[column].data = filled(sources[column].length);
        }
        for (size_t row = 0; row < all.rows; row++)
            targets[row] = filled(all.length);
        uint8_t *matrix = filled(all.rows * all.columns);
        all.matrix = matrix, all.sources = sources, all.targets = targets;
        all.factors = malloc(sizeof(field_factor) * all.rows * all.columns);
        all.spare = malloc((all.columns + FIELD_ROWS) * FIELD_STRIP);
        field_combine(&all, (int)(chance() % 2));
        for (size_t row = 0; row < all.rows; row++)
            for (size_t at = 0; at < all.length; at++)
                hash = (hash ^ targets[row][at]) * 1099511628211u;
        for (size_t column = 0; column < all.columns; column++)
            free((void *)sources[column].data);
        for (size_t row = 0; row < all.rows; row++)
            free(targets[row]);
        free(matrix);
        free(all.factors);
        free(all.spare);
    }
    printf("%016llx\n", (unsigned long long)hash);
    return 0;
}

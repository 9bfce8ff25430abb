/* Runs a fuzz target where no libFuzzer is: `program SECONDS FILE...` replays the files, then mutates them for so long. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 16384, FILES = 4096 };

static uint64_t state = 88172645463325252u;

static size_t below(size_t limit) /* xorshift64: any would do */
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return limit ? (size_t)(state % limit) : 0;
}

static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1); /* so that a read behind the end is seen */
    if (exact == NULL)
        exit(2);
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

int main(int count, char **arguments)
{
    static uint8_t inputs[FILES][MOST], changed[MOST];
    static size_t sizes[FILES];
    size_t files = 0;
    unsigned long executions = 0;
    if (count < 2)
        return 2;
    for (int at = 2; at < count && files < FILES; at++) {
        FILE *file = fopen(arguments[at], "rb");
        if (file == NULL)
            return 2;
        sizes[files] = fread(inputs[files], 1, MOST, file);
        fclose(file);
        run(inputs[files], sizes[files]);
        files++;
        executions++;
    }
    if (files == 0)
        sizes[files++] = 0;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double end = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec + atof(arguments[1]);
    while ((double)now.tv_sec + 1e-9 * (double)now.tv_nsec < end) {
        size_t from = below(files), size = sizes[from];
        memcpy(changed, inputs[from], size);
        for (size_t times = 1 + below(4); times > 0; times--) {
            size_t at = below(size), kind = below(4);
            if (kind == 0 && size)
                changed[at] ^= (uint8_t)(1u << below(8));
            else if (kind == 1 && size)
                changed[at] = (uint8_t)below(256);
            else if (kind == 2)
                size = below(size + 1);
            else if (size)
                memset(changed + at, (int)below(256), below(size - at < 8 ? size - at + 1 : 8));
        }
        run(changed, size);
        executions++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
    printf("%lu executions\n", executions);
    return 0;
}

/* SHA-256 (FIPS 180-4) of two streams side by side, by the processor's own instructions for it.
 *
 * One stream waits for each round before it can begin the next; a second one fills the waiting. Where a processor has
 * no such instructions, nothing here is used: the Python module then asks hashlib.
 */
#include "kernel.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#define TARGET_SHA __attribute__((target("sha,sse4.1,ssse3")))

typedef struct {
    uint32_t h[8];
    uint64_t length; /* bytes taken so far */
    uint8_t left[64]; /* those of the last block, while it is not full */
} stream;

static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static const uint32_t k[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static int available(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1) && __builtin_cpu_supports("sse4.1");
}

/* `lanes` is 1 or 2; each takes `blocks` blocks of its own. */
static inline __attribute__((always_inline)) TARGET_SHA void compress(int lanes, uint32_t *const h[],
                                                                      const uint8_t *const data[], size_t blocks)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bULL, 0x0405060700010203ULL);
    __m128i abef[2], cdgh[2], abef_before[2], cdgh_before[2], w[2][4];
    for (int lane = 0; lane < lanes; lane++) {
        __m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)h[lane]), 0xB1);
        __m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(h[lane] + 4)), 0x1B);
        abef[lane] = _mm_alignr_epi8(low, high, 8);
        cdgh[lane] = _mm_blend_epi16(high, low, 0xF0);
    }
    for (size_t block = 0; block < blocks; block++) {
        for (int lane = 0; lane < lanes; lane++) {
            abef_before[lane] = abef[lane];
            cdgh_before[lane] = cdgh[lane];
            for (int part = 0; part < 4; part++)
                w[lane][part] = _mm_shuffle_epi8(
                    _mm_loadu_si128((const __m128i *)(data[lane] + 64 * block + 16 * part)), swap);
        }
#pragma GCC unroll 16
        for (int four = 0; four < 16; four++)
            for (int lane = 0; lane < lanes; lane++) {
                __m128i *now = w[lane];
                __m128i sum = _mm_add_epi32(now[four % 4], _mm_load_si128((const __m128i *)(k + 4 * four)));
                cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], sum);
                abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], _mm_shuffle_epi32(sum, 0x0E));
                if (four < 12) {
                    __m128i next = _mm_sha256msg1_epu32(now[four % 4], now[(four + 1) % 4]);
                    next = _mm_add_epi32(next, _mm_alignr_epi8(now[(four + 3) % 4], now[(four + 2) % 4], 4));
                    now[four % 4] = _mm_sha256msg2_epu32(next, now[(four + 3) % 4]);
                }
            }
        for (int lane = 0; lane < lanes; lane++) {
            abef[lane] = _mm_add_epi32(abef[lane], abef_before[lane]);
            cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_before[lane]);
        }
    }
    for (int lane = 0; lane < lanes; lane++) {
        __m128i low = _mm_shuffle_epi32(abef[lane], 0x1B), high = _mm_shuffle_epi32(cdgh[lane], 0xB1);
        _mm_storeu_si128((__m128i *)h[lane], _mm_blend_epi16(low, high, 0xF0));
        _mm_storeu_si128((__m128i *)(h[lane] + 4), _mm_alignr_epi8(high, low, 8));
    }
}

static TARGET_SHA void compress_one(uint32_t *h, const uint8_t *data, size_t blocks)
{
    uint32_t *const states[] = {h, h};
    const uint8_t *const bytes[] = {data, data};
    compress(1, states, bytes, blocks);
}

static TARGET_SHA void compress_two(uint32_t *a, const uint8_t *data_a, uint32_t *b, const uint8_t *data_b, size_t blocks)
{
    uint32_t *const states[] = {a, b};
    const uint8_t *const bytes[] = {data_a, data_b};
    compress(2, states, bytes, blocks);
}

/* Fill up the block begun before; how many bytes of `data` that took. */
static size_t begin(stream *to, const uint8_t *data, size_t size)
{
    size_t held = to->length % 64, taken = held == 0 ? 0 : 64 - held;
    if (taken > size)
        taken = size;
    memcpy(to->left + held, data, taken);
    to->length += taken;
    if (taken && to->length % 64 == 0)
        compress_one(to->h, to->left, 1);
    return taken;
}

/* The rest, from the beginning of a block on. */
static void end(stream *to, const uint8_t *data, size_t size)
{
    compress_one(to->h, data, size / 64);
    memcpy(to->left, data + size / 64 * 64, size % 64);
    to->length += size;
}

static void update(stream *a, const uint8_t *data_a, size_t size_a, stream *b, const uint8_t *data_b, size_t size_b)
{
    size_t taken_a = begin(a, data_a, size_a), taken_b = begin(b, data_b, size_b);
    data_a += taken_a, size_a -= taken_a, data_b += taken_b, size_b -= taken_b;
    size_t both = (size_a < size_b ? size_a : size_b) / 64;
    if (both) {
        compress_two(a->h, data_a, b->h, data_b, both);
        a->length += 64 * both;
        b->length += 64 * both;
    }
    if (size_a > 64 * both)
        end(a, data_a + 64 * both, size_a - 64 * both);
    if (size_b > 64 * both)
        end(b, data_b + 64 * both, size_b - 64 * both);
}

static void finish(const stream *from, uint8_t digest[32])
{
    stream to = *from;
    uint64_t bits = 8 * to.length;
    uint8_t padding[72] = {0x80};
    size_t size = 1 + (119 - to.length % 64) % 64;
    for (int byte = 0; byte < 8; byte++)
        padding[size + byte] = (uint8_t)(bits >> (56 - 8 * byte));
    size_t taken = begin(&to, padding, size + 8);
    end(&to, padding + taken, size + 8 - taken);
    for (int each = 0; each < 32; each++)
        digest[each] = (uint8_t)(to.h[each / 4] >> (24 - 8 * (each % 4)));
}
#endif

static PyObject *sha256_new(PyObject *self, PyObject *unused)
{
#if defined(__x86_64__)
    if (available()) {
        stream fresh = {.length = 0};
        memcpy(fresh.h, first, sizeof first);
        return PyByteArray_FromStringAndSize((const char *)&fresh, sizeof fresh);
    }
#endif
    Py_RETURN_NONE;
}

#if defined(__x86_64__)
static PyObject *sha256_update(PyObject *self, PyObject *args)
{
    Py_buffer a, data_a, b, data_b;
    if (!PyArg_ParseTuple(args, "w*y*w*y*", &a, &data_a, &b, &data_b))
        return NULL;
    int fits = a.len == sizeof(stream) && b.len == sizeof(stream) && a.buf != b.buf && available();
    if (fits) {
        stream one, two;
        memcpy(&one, a.buf, sizeof one);
        memcpy(&two, b.buf, sizeof two);
        Py_BEGIN_ALLOW_THREADS
        update(&one, data_a.buf, (size_t)data_a.len, &two, data_b.buf, (size_t)data_b.len);
        Py_END_ALLOW_THREADS
        memcpy(a.buf, &one, sizeof one);
        memcpy(b.buf, &two, sizeof two);
    } else {
        PyErr_SetString(PyExc_ValueError, "two different states of sha256_new are needed");
    }
    PyBuffer_Release(&a);
    PyBuffer_Release(&data_a);
    PyBuffer_Release(&b);
    PyBuffer_Release(&data_b);
    if (!fits)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *sha256_digest(PyObject *self, PyObject *args)
{
    Py_buffer state;
    uint8_t digest[32];
    if (!PyArg_ParseTuple(args, "y*", &state))
        return NULL;
    int fits = state.len == sizeof(stream) && available();
    if (fits) {
        stream one;
        memcpy(&one, state.buf, sizeof one);
        finish(&one, digest);
    }
    PyBuffer_Release(&state);
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "a state of sha256_new is needed");
        return NULL;
    }
    return PyBytes_FromStringAndSize((const char *)digest, sizeof digest);
}
#endif

PyMethodDef sha256_methods[] = {
    {"sha256_new", sha256_new, METH_NOARGS, "sha256_new() -> bytearray | None: a stream, where the processor can."},
#if defined(__x86_64__)
    {"sha256_update", sha256_update, METH_VARARGS, "sha256_update(a, data_a, b, data_b): both streams, side by side."},
    {"sha256_digest", sha256_digest, METH_VARARGS, "sha256_digest(a) -> bytes: of all a stream has taken so far."},
#endif
    {NULL, NULL, 0, NULL},
};

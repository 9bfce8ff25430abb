/* Where content-defined chunks end: the gear hash of the last 32 bytes, looked at byte by byte. */
#include "kernel.h"

enum { WINDOW = 32 };

/* The first place after byte `start` and up to `end` where the upper `bits` bits of the hash are zero; -1: none. */
static Py_ssize_t gear_find(const uint8_t *data, const uint8_t *gear, Py_ssize_t start, Py_ssize_t end, unsigned bits)
{
    uint32_t table[256], hash = 0;
    memcpy(table, gear, sizeof table);
    for (Py_ssize_t at = start + 1 - WINDOW; at < start; at++)
        hash = (hash << 1) + table[data[at]];
    for (Py_ssize_t at = start; at < end; at++) {
        hash = (hash << 1) + table[data[at]];
        if (hash >> (32 - bits) == 0)
            return at + 1;
    }
    return -1;
}

static PyObject *find(PyObject *self, PyObject *arguments)
{
    Py_buffer data, gear;
    Py_ssize_t start, end, found = 0;
    unsigned bits;
    if (!PyArg_ParseTuple(arguments, "y*y*nnI", &data, &gear, &start, &end, &bits))
        return NULL;
    int wrong = gear.len != 1024 || start < WINDOW || end > data.len || start > end || bits < 1 || bits > 31;
    if (!wrong) {
        Py_BEGIN_ALLOW_THREADS
        found = gear_find(data.buf, gear.buf, start, end, bits);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&gear);
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, "gear_find: 256 numbers of 32 bits, 32 <= start <= end <= length, 1 to 31 bits");
        return NULL;
    }
    return PyLong_FromSsize_t(found);
}

PyMethodDef gear_methods[] = {
    {"gear_find", find, METH_VARARGS, "gear_find(data, gear, start, end, bits) -> int: where a chunk ends, or -1."},
    {NULL, NULL, 0, NULL},
};

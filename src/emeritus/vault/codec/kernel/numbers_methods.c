/* numbers.h for Python: buffers in, bytes out, the GIL released around the work. */
#include "kernel.h"
#include "numbers.h"

static PyObject *encode(PyObject *self, PyObject *args)
{
    Py_buffer data, out;
    int layout;
    size_t taken = 0;
    if (!PyArg_ParseTuple(args, "y*iw*", &data, &layout, &out))
        return NULL;
    int fits = numbers_fit((size_t)data.len, layout);
    if (fits && (size_t)out.len >= numbers_bound((size_t)data.len, layout)) {
        Py_BEGIN_ALLOW_THREADS
        taken = numbers_encode(data.buf, (size_t)data.len, layout, out.buf);
        Py_END_ALLOW_THREADS
        if (taken == 0)
            PyErr_NoMemory();
    } else {
        PyErr_Format(PyExc_ValueError, fits ? "%zd bytes of numbers in layout %d need more room" :
                     "%zd bytes are not numbers of layout %d", data.len, layout);
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&out);
    return taken ? PyLong_FromSize_t(taken) : NULL;
}

static PyObject *decode(PyObject *self, PyObject *args)
{
    Py_buffer stored, out;
    if (!PyArg_ParseTuple(args, "y*w*", &stored, &out))
        return NULL;
    int right;
    Py_BEGIN_ALLOW_THREADS
    right = numbers_decode(stored.buf, (size_t)stored.len, out.buf, (size_t)out.len);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&stored);
    PyBuffer_Release(&out);
    return right < 0 ? PyErr_NoMemory() : PyBool_FromLong(right);
}

static PyObject *decode_piece(PyObject *self, PyObject *args)
{
    Py_buffer stored, out;
    Py_ssize_t begin;
    size_t end = 0;
    if (!PyArg_ParseTuple(args, "y*w*n", &stored, &out, &begin))
        return NULL;
    int right = 0;
    if (begin >= 0) {
        Py_BEGIN_ALLOW_THREADS
        right = numbers_decode_piece(stored.buf, (size_t)stored.len, out.buf, (size_t)out.len, (size_t)begin, &end);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&stored);
    PyBuffer_Release(&out);
    return right < 0 ? PyErr_NoMemory() : PyLong_FromSize_t(right ? end : 0);
}

static PyObject *prove(PyObject *self, PyObject *args)
{
    Py_buffer stored, data;
    if (!PyArg_ParseTuple(args, "y*y*", &stored, &data))
        return NULL;
    int right;
    Py_BEGIN_ALLOW_THREADS
    right = numbers_prove(stored.buf, (size_t)stored.len, data.buf, (size_t)data.len);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&stored);
    PyBuffer_Release(&data);
    return right < 0 ? PyErr_NoMemory() : PyBool_FromLong(right);
}

PyMethodDef numbers_methods[] = {
    {"numbers_encode", encode, METH_VARARGS, "numbers_encode(data, layout, out) -> int: how many bytes of `out` it took."},
    {"numbers_decode", decode, METH_VARARGS, "numbers_decode(stored, out) -> bool: whether all of `out` was filled."},
    {"numbers_decode_piece", decode_piece, METH_VARARGS,
     "numbers_decode_piece(stored, out, begin) -> int: where the piece of `out` that begins there and was filled ends; or 0."},
    {"numbers_prove", prove, METH_VARARGS, "numbers_prove(stored, data) -> bool: whether it decodes to the data."},
    {NULL, NULL, 0, NULL},
};

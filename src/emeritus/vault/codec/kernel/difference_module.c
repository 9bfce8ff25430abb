/* Python's way to the difference codec: arguments into buffers, their sizes checked, the GIL released. */
#include "kernel.h"

#include "difference.h"

enum { MOST_BUFFERS = 6 };

struct arguments {
    int width, kind, taken;
    Py_buffer buffers[MOST_BUFFERS];
};

static void let_go(struct arguments *given)
{
    while (given->taken > 0)
        PyBuffer_Release(&given->buffers[--given->taken]);
}

/* Takes `reading` buffers, then one that is written to. Sets an exception and returns 0 for a wrong call. */
static int take(PyObject *args, struct arguments *given, int numbers, int reading)
{
    given->taken = 0;
    if (PyTuple_Size(args) != numbers + reading + 1) {
        PyErr_SetString(PyExc_ValueError, "a wrong number of arguments");
        return 0;
    }
    given->width = (int)PyLong_AsLong(PyTuple_GetItem(args, 0));
    given->kind = numbers > 1 ? (int)PyLong_AsLong(PyTuple_GetItem(args, 1)) : 0;
    if (PyErr_Occurred())
        return 0;
    for (int each = 0; each <= reading; each++) {
        int flags = each == reading ? PyBUF_WRITABLE : PyBUF_SIMPLE;
        if (PyObject_GetBuffer(PyTuple_GetItem(args, numbers + each), &given->buffers[each], flags) < 0) {
            let_go(given);
            return 0;
        }
        given->taken++;
    }
    if ((given->width != 2 && given->width != 4) || given->kind < 0 || given->kind > 1) {
        let_go(given);
        PyErr_SetString(PyExc_ValueError, "width is 2 or 4, kind is 0 or 1");
        return 0;
    }
    return 1;
}

static PyObject *refuse(struct arguments *given, const char *why)
{
    let_go(given);
    PyErr_SetString(PyExc_ValueError, why);
    return NULL;
}

static PyObject *count(PyObject *self, PyObject *args)
{
    struct arguments given;
    if (!take(args, &given, 2, 3))
        return NULL;
    Py_buffer *base = &given.buffers[0], *data = &given.buffers[1], *wanted = &given.buffers[2];
    Py_buffer *counts = &given.buffers[3];
    if (base->len != data->len || data->len % given.width || wanted->len != 256 || counts->len != 4 * 65536 ||
        (uintptr_t)counts->buf % 4)
        return refuse(&given, "base, data, wanted or counts have a wrong size");
    Py_BEGIN_ALLOW_THREADS
    difference_count(given.width, given.kind, base->buf, data->buf, (size_t)(data->len / given.width), wanted->buf,
                     counts->buf);
    Py_END_ALLOW_THREADS
    let_go(&given);
    Py_RETURN_NONE;
}

static int gather(struct arguments *given, struct difference_tables *tables)
{
    Py_buffer *buffers = given->buffers;
    tables->count = (size_t)buffers[1].len;
    tables->map = buffers[0].buf;
    tables->kinds = buffers[1].buf;
    tables->frequencies = buffers[2].buf;
    return buffers[0].len == 256 && buffers[1].len <= 256 && buffers[2].len == buffers[1].len * 512 &&
           difference_sound(given->width, tables);
}

static PyObject *encode(PyObject *self, PyObject *args)
{
    struct arguments given;
    if (!take(args, &given, 1, 5))
        return NULL;
    struct difference_tables tables;
    Py_buffer *base = &given.buffers[3], *data = &given.buffers[4], *out = &given.buffers[5];
    if (!gather(&given, &tables) || base->len != data->len || data->len % given.width)
        return refuse(&given, "the tables are wrong, or base and data differ in size");
    struct difference_plan plan;
    ptrdiff_t size = -1;
    int ready;
    Py_BEGIN_ALLOW_THREADS
    ready = difference_prepare(&plan, given.width, &tables, 1);
    if (ready)
        size = difference_encode(given.width, &plan, base->buf, data->buf, (size_t)(data->len / given.width), out->buf,
                                 (size_t)out->len);
    Py_END_ALLOW_THREADS
    let_go(&given);
    if (!ready)
        return PyErr_NoMemory();
    difference_release(&plan);
    return PyLong_FromSsize_t(size);
}

static PyObject *decode(PyObject *self, PyObject *args)
{
    struct arguments given;
    if (!take(args, &given, 1, 5))
        return NULL;
    struct difference_tables tables;
    Py_buffer *base = &given.buffers[3], *stream = &given.buffers[4], *out = &given.buffers[5];
    if (!gather(&given, &tables) || base->len != out->len || out->len % given.width)
        return refuse(&given, "the tables are wrong, or base and out differ in size");
    struct difference_plan plan;
    int ready, sound = 0;
    Py_BEGIN_ALLOW_THREADS
    ready = difference_prepare(&plan, given.width, &tables, 0);
    if (ready)
        sound = difference_decode(given.width, &plan, base->buf, stream->buf, (size_t)stream->len, out->buf,
                                  (size_t)(out->len / given.width));
    Py_END_ALLOW_THREADS
    let_go(&given);
    if (!ready)
        return PyErr_NoMemory();
    difference_release(&plan);
    return PyBool_FromLong(sound);
}

PyMethodDef difference_methods[] = {
    {"difference_count", count, METH_VARARGS,
     "difference_count(width, kind, base, data, wanted, counts): add every wanted number's token to counts[256][256]."},
    {"difference_encode", encode, METH_VARARGS,
     "difference_encode(width, map, kinds, frequencies, base, data, out) -> int: bytes written to the end of out, or -1."},
    {"difference_decode", decode, METH_VARARGS,
     "difference_decode(width, map, kinds, frequencies, base, stream, out) -> bool: whether the stream was sound."},
    {NULL, NULL, 0, NULL},
};

/* reed_solomon.h for Python: buffers in, the GIL released around the work. */
#include "kernel.h"
#include "reed_solomon.h"

/* What one call borrowed and allocated. */
struct call {
    Py_buffer matrix, *sources, *targets;
    size_t held_sources, held_targets;
    struct field_source *from;
    uint8_t **to;
    struct field_work work;
};

/* Borrow every buffer of a sequence; how many were borrowed stands in `held` even when one refuses. */
static int borrow(PyObject *sequence, Py_buffer *buffers, size_t count, int flags, size_t *held)
{
    for (; *held < count; (*held)++) {
        PyObject *item = PySequence_GetItem(sequence, (Py_ssize_t)*held);
        if (!item)
            return -1;
        int failed = PyObject_GetBuffer(item, &buffers[*held], flags);
        Py_DECREF(item);
        if (failed)
            return -1;
    }
    return 0;
}

static int set_up(struct call *all, PyObject *sources, PyObject *targets)
{
    struct field_work *work = &all->work;
    Py_ssize_t columns = PySequence_Size(sources), rows = PySequence_Size(targets);
    if (columns < 0 || rows < 0)
        return -1;
    if (columns < 1 || rows < 1 || columns > FIELD_MOST || rows > FIELD_MOST || all->matrix.len != columns * rows) {
        PyErr_SetString(PyExc_ValueError, "a matrix of rows x columns, 1 to 255 each, needs as many sources and targets");
        return -1;
    }
    work->columns = (size_t)columns, work->rows = (size_t)rows;
    all->sources = PyMem_Malloc(work->columns * sizeof(Py_buffer));
    all->targets = PyMem_Malloc(work->rows * sizeof(Py_buffer));
    all->from = PyMem_Malloc(work->columns * sizeof *all->from);
    all->to = PyMem_Malloc(work->rows * sizeof *all->to);
    work->factors = PyMem_Malloc(work->columns * work->rows * sizeof(field_factor));
    work->spare = PyMem_Malloc((work->columns + FIELD_ROWS) * FIELD_STRIP);
    if (!all->sources || !all->targets || !all->from || !all->to || !work->factors || !work->spare) {
        PyErr_NoMemory();
        return -1;
    }
    if (borrow(sources, all->sources, work->columns, PyBUF_SIMPLE, &all->held_sources) ||
        borrow(targets, all->targets, work->rows, PyBUF_WRITABLE, &all->held_targets))
        return -1;
    for (size_t column = 0; column < work->columns; column++)
        all->from[column] = (struct field_source){all->sources[column].buf, (size_t)all->sources[column].len};
    work->length = (size_t)all->targets[0].len;
    for (size_t row = 0; row < work->rows; row++) {
        all->to[row] = all->targets[row].buf;
        if ((size_t)all->targets[row].len != work->length) {
            PyErr_SetString(PyExc_ValueError, "the targets are not of one length");
            return -1;
        }
    }
    work->matrix = all->matrix.buf, work->sources = all->from, work->targets = all->to;
    return 0;
}

static PyObject *gf_combine(PyObject *self, PyObject *args)
{
    struct call all = {0};
    PyObject *sources, *targets;
    int add, ready;
    if (!PyArg_ParseTuple(args, "y*OOp:gf_combine", &all.matrix, &sources, &targets, &add))
        return NULL;
    ready = set_up(&all, sources, targets) == 0;
    if (ready) {
        Py_BEGIN_ALLOW_THREADS
        field_combine(&all.work, add);
        Py_END_ALLOW_THREADS
    }
    for (size_t each = 0; each < all.held_sources; each++)
        PyBuffer_Release(&all.sources[each]);
    for (size_t each = 0; each < all.held_targets; each++)
        PyBuffer_Release(&all.targets[each]);
    PyBuffer_Release(&all.matrix);
    PyMem_Free(all.sources);
    PyMem_Free(all.targets);
    PyMem_Free(all.from);
    PyMem_Free(all.to);
    PyMem_Free(all.work.factors);
    PyMem_Free(all.work.spare);
    if (!ready)
        return NULL;
    Py_RETURN_NONE;
}

PyMethodDef reed_solomon_methods[] = {
    {"gf_combine", gf_combine, METH_VARARGS,
     "gf_combine(matrix, sources, targets, add): targets[r] (+)= sum of matrix[r][c] * sources[c] over GF(2^8).\n"
     "Sources shorter than the targets go on as zeros; longer ones are cut. Targets overlap nothing."},
    {NULL, NULL, 0, NULL},
};

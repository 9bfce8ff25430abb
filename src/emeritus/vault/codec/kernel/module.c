/* The extension module `emeritus.vault.codec._kernel`: gathers the parts' methods. */
#include "kernel.h"

static const char *const names[] = {"scalar", "neon", "avx2", "avx512"};

static PyObject *level(PyObject *self, PyObject *unused)
{
    return PyUnicode_FromString(names[kernel_level()]);
}

static PyObject *limit(PyObject *self, PyObject *name)
{
    for (int each = LEVEL_SCALAR; each <= LEVEL_AVX512; each++)
        if (PyUnicode_CompareWithASCIIString(name, names[each]) == 0) {
            kernel_limit((enum level)each);
            return level(self, NULL);
        }
    PyErr_Format(PyExc_ValueError, "no instruction set is called %R", name);
    return NULL;
}

static PyMethodDef own_methods[] = {
    {"level", level, METH_NOARGS, "level() -> str: the instruction set in use."},
    {"limit", limit, METH_O, "limit(name) -> str: use no faster instruction set than this; for tests and benchmarks."},
    {NULL, NULL, 0, NULL},
};

extern PyMethodDef difference_methods[];
extern PyMethodDef reed_solomon_methods[];
extern PyMethodDef numbers_methods[];
extern PyMethodDef sha256_methods[];
extern PyMethodDef gear_methods[];

/* One line per part. */
static PyMethodDef *const parts[] = {
    own_methods,
    difference_methods,
    reed_solomon_methods,
    numbers_methods,
    sha256_methods,
    gear_methods,
};

static int fill(PyObject *module)
{
    for (size_t each = 0; each < sizeof parts / sizeof *parts; each++)
        if (PyModule_AddFunctions(module, parts[each]) < 0)
            return -1;
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "emeritus.vault.codec._kernel", "The vault's codec, compiled.", 0, NULL, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernel(void)
{
    return PyModuleDef_Init(&definition);
}

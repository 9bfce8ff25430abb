/* The extension module `emeritus.vault.codec._kernel`: gathers the parts' methods and picks the instruction set. */
#include "kernel.h"

static enum level found, limited = LEVEL_AVX512;

static enum level detect(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
        __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("gfni") && __builtin_cpu_supports("bmi2"))
        return LEVEL_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
        return LEVEL_AVX2;
    return LEVEL_SCALAR;
#elif defined(__aarch64__)
    return LEVEL_NEON;
#else
    return LEVEL_SCALAR;
#endif
}

enum level kernel_level(void)
{
    return found < limited ? found : limited;
}

static const char *const names[] = {"scalar", "neon", "avx2", "avx512"};

static PyObject *level(PyObject *self, PyObject *unused)
{
    return PyUnicode_FromString(names[kernel_level()]);
}

static PyObject *limit(PyObject *self, PyObject *name)
{
    for (int each = LEVEL_SCALAR; each <= LEVEL_AVX512; each++)
        if (PyUnicode_CompareWithASCIIString(name, names[each]) == 0) {
            limited = (enum level)each;
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

/* One line per part. */
static PyMethodDef *const parts[] = {
    own_methods,
    difference_methods,
    reed_solomon_methods,
};

static int fill(PyObject *module)
{
    found = detect();
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

/* What every part of the kernel that Python calls shares. Each part is one file: its functions, and a table of its
 * Python methods; the loops over data lie in files of their own that know no Python, so that fuzzers can link them.
 *
 * All of it decodes hostile input: every length is checked before it is used, and nothing is written outside the
 * buffers given. No part keeps state; the GIL is released around every loop over data.
 */
#ifndef EMERITUS_KERNEL_H
#define EMERITUS_KERNEL_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "level.h"

#endif

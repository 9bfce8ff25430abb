"""What pyproject.toml cannot state: the codec's kernel, built where there is a C compiler, left out elsewhere."""

from pathlib import Path

from setuptools import Extension, setup

KERNEL = Path("src/emeritus/vault/codec/kernel")

setup(
    ext_modules=[
        Extension(
            "emeritus.vault.codec._kernel",
            sources=sorted(map(str, KERNEL.glob("*.c"))),
            depends=sorted(map(str, KERNEL.glob("*.h"))),
            extra_compile_args=["-O3", "-std=gnu11", "-Wall", "-Wextra", "-Wno-unused-parameter"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)

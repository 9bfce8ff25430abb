#!/usr/bin/env bash
# Sourced by ./demo and ./test: makes .venv at the root and installs the extras named, pinned by constraints.txt.
# A stamp of what was installed makes the next start immediate.

emeritus_setup() { # extras, e.g. "local" or "dev"
    local root extras python stamp want
    root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
    extras="$1"
    python="$root/.venv/bin/python"
    stamp="$root/.venv/.installed-$extras"
    want="$(cat "$root/pyproject.toml" "$root/constraints.txt" "$root/setup.sh" "$root/setup.py" \
        "$root"/src/emeritus/vault/codec/kernel/*.[ch] | cksum)" # a changed kernel is built again
    if [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then return 0; fi

    if [ ! -x "$python" ]; then
        local base
        for base in python3.11 python3.12 python3.13 python3; do command -v "$base" >/dev/null && break; done
        "$base" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
            || { echo "emeritus needs Python 3.11 or newer; found $("$base" --version)" >&2; return 1; }
        "$base" -m venv "$root/.venv" \
            || { echo "could not make a virtual environment (on Debian: apt-get install python3-venv)" >&2; return 1; }
    fi
    echo "Setting up .venv for [$extras] (a few minutes the first time) ..." >&2
    _emeritus_torch "$python" || return 1
    "$python" -m pip install --quiet --disable-pip-version-check -c "$root/constraints.txt" -e "$root[$extras]" || return 1
    printf '%s' "$want" > "$stamp"
}

_emeritus_torch() { # the CPU build: PyPI's own torch for Linux carries gigabytes of CUDA
    local pip=("$1" -m pip install --quiet --disable-pip-version-check)
    "$1" -c 'import importlib.metadata as m; assert m.version("torch").startswith("2.13.0")' 2>/dev/null && return 0
    if [ "$(uname -s)" = Darwin ]; then "${pip[@]}" torch==2.13.0; return; fi
    "${pip[@]}" torch==2.13.0+cpu 2>/dev/null \
        || "${pip[@]}" torch==2.13.0+cpu --extra-index-url https://download.pytorch.org/whl/cpu
}

# shellcheck shell=bash
# Sourced by packaging/wheel and packaging/deb: what both need to build, and no more (2 MB; they do without
# packaging/setup.sh's `.venv`).
#
#   tools                       sets `python` to a Python that has the extra `package` of pyproject.toml
#   source_copy FOLDER          the checkout's files without what was built or is ignored
#
# PYTHON=/path/to/python is taken where that Python has them already; else they go into build/tools.
set -euo pipefail
umask 022
export PYTHONDONTWRITEBYTECODE=1 # nothing of ours is left in the checkout

top=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

tools() {
    local base=${PYTHON:-python3} needs
    if has_tools "$base"; then
        python=$base
        return
    fi
    python=$top/build/tools/bin/python
    ! has_tools "$python" || return 0
    "$base" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "$base is no Python 3.11 or newer; say which: PYTHON=/path/to/python3.12 $0"
    say "fetching what it takes to build, into build/tools"
    rm -rf "$top/build/tools"
    "$base" -m venv "$top/build/tools" || fail "$base cannot make an environment; apt-get install python3-venv"
    mapfile -t needs < <("$python" - "$top/pyproject.toml" <<'PYTHON'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    print(*tomllib.load(file)["project"]["optional-dependencies"]["package"], sep="\n")
PYTHON
    )
    "$python" -m pip install --quiet --disable-pip-version-check "${needs[@]}" >&2
}

has_tools() {
    "$1" -c 'import argparse_manpage, build, shtab' 2>/dev/null
}

source_copy() {
    mkdir -p "$1"
    tar -C "$top" --exclude='__pycache__' --exclude='*.py[co]' --exclude='*.egg-info' -cf - \
        CHANGELOG.md LICENSE README.md config.example.toml packaging pyproject.toml tests vbgcam |
        tar -C "$1" -xf -
    # setuptools looks for it at the top.
    cp -- "$1/packaging/MANIFEST.in" "$1/"
}

# The time that goes into all files, so that the same source gives the same bytes: of the last commit, or else of the
# changelog.
epoch() {
    [ -n "${SOURCE_DATE_EPOCH:-}" ] ||
        SOURCE_DATE_EPOCH=$(git -C "$top" log -1 --format=%ct 2>/dev/null || stat -c %Y "$top/CHANGELOG.md")
    export SOURCE_DATE_EPOCH
}

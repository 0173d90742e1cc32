# shellcheck shell=bash disable=SC2046  # $(missing ...) is one word for each package
# Sourced by packaging/demo and packaging/test: makes `.venv` at the top of the checkout ready, from whatever state it is
# in, and installs (as root) or names the Debian packages that are missing.
#
#   prepare run|dev [PROBE=PACKAGE]...     afterwards $venv/bin holds vbgcam, and with `dev` the tools of the tests too
#
# PYTHON=/path/to/python3.12 chooses the Python that a new `.venv` is made with.
#
# A stamp in `.venv` says for which Python, folder and pyproject.toml it was finished; while it fits and no file is
# missing, `prepare` is over in 0.6 s. Otherwise `.venv` is completed, or made anew where a package is damaged (a killed
# pip leaves such). Two runs at once wait for each other.
set -euo pipefail

top=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$top/.venv
log=$venv/setup.log

# What the wheels expect of a Debian without a desktop: OpenCV's is linked with Qt.
libraries=(libGL.so.1=libgl1 libgthread-2.0.so.0=libglib2.0-0 libxcb.so.1=libxcb1)
modules=(cv2 av numba PIL pydantic pyvirtualcam torchvision)

say() { printf 'set-up: %s\n' "$*" >&2; }

fail() {
    say "FAILED: $*"
    exit 1
}

prepare() {
    local extra=$1
    shift
    if ! ready "$extra"; then
        trap 'say "broken off; the same command goes on from here"; exit 130' INT TERM
        [ -w "$top" ] || fail "$top cannot be written by $(id -un)"
        [ ! -e "$venv" ] || [ -w "$venv" ] || fail "$venv belongs to somebody else; remove it: rm -rf '$venv'"
        exec 9<"$top"
        if command -v flock >/dev/null && ! flock -n 9; then
            say "another set-up is at work in this folder; waiting for it"
            flock 9
        fi
        ready "$extra" || complete "$extra"
        exec 9<&-
        trap - INT TERM
    fi
    # After the rest and without an end: what is missing here costs a skipped test, nothing more.
    offer $(missing "$venv/bin/python" "$@") || say "going on without"
}

# Whether `.venv` was finished for this Python, this folder and this pyproject.toml.
ready() {
    [ -s "$venv/ready-$1" ] && [ "$(key 2>/dev/null)" = "$(cat "$venv/ready-$1")" ] && sound
}

key() {
    "$venv/bin/python" -I - "$top" <<'PYTHON'
import hashlib, pathlib, sys
text = pathlib.Path(sys.argv[1], "pyproject.toml").read_bytes()
print("%d.%d" % sys.version_info[:2], sys._base_executable, sys.argv[1], hashlib.sha256(text).hexdigest())
PYTHON
}

complete() {
    local extra=$1 what=. started=$SECONDS
    [ "$extra" = run ] || what=".[$extra]"
    rm -f "$venv"/ready-*
    if [ -e "$venv" ] && ! sound; then
        say "$venv is broken or was made halfway; making it anew"
        rm -rf "$venv"
    fi
    if [ ! -e "$venv" ]; then
        create
    fi
    rm -rf "$venv/tmp"
    mkdir "$venv/tmp"
    : >"$log"
    announce
    offer $(missing "$venv/bin/python" "${libraries[@]}") || :
    say "installing vbgcam and what it needs into .venv (log: $log)"
    install_packages "$what"
    rm -rf "$venv/tmp"
    if ! loadable; then
        offer $(missing "$venv/bin/python" "${libraries[@]}") || :
        fail "$(tail -n 1 "$log") (log: $log)"
    fi
    key >"$venv/ready-run"
    [ "$extra" = run ] || cp "$venv/ready-run" "$venv/ready-$extra"
    say "done in $((SECONDS - started)) s"
}

# Whether the Python in `.venv` runs and every installed package is there with all its files, none cut short (a longer one
# was edited by somebody who looks for a fault). A killed pip leaves packages without a list of files, and folders whose
# name begins with "~".
sound() {
    "$venv/bin/python" -I - 2>/dev/null <<'PYTHON'
import csv, importlib.metadata, pathlib, sys, sysconfig
site = pathlib.Path(sysconfig.get_path("purelib"))
names = {path.name for path in site.glob("pip-*.dist-info")}
broken = not names or any(site.glob("~*"))
for info in site.glob("*.dist-info"):
    record = info / "RECORD"
    if not record.is_file():
        broken = True
        continue
    for name, _, size in csv.reader(record.read_text(encoding="utf-8").splitlines()):
        path = site / name
        if size and not (path.is_file() and path.stat().st_size >= int(size)):
            broken = True
sys.exit(broken)
PYTHON
}

# A new `.venv`. A folder that holds no Python yet is not `.venv`'s last word: `sound` finds it wanting.
create() {
    local base
    base=$(find_python) || {
        [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is not a Python 3.11 or newer with venv, ssl and lzma"
        offer python3 python3-venv || exit 1
        base=$(find_python) || fail "no Python 3.11 or newer was found; say which: PYTHON=/path/to/python3.12 $0"
    }
    mkdir "$venv"
    say "making .venv with $base"
    "$base" -m venv "$venv" >"$log" 2>&1 </dev/null || fail "$base could not make .venv: $(tail -n 1 "$log") (log: $log)"
}

# Prints the real path of a Python that will do: new enough, with the modules that a Python built by hand often lacks.
# In an environment that is switched on, that is the Python which it was made with.
find_python() {
    local name names=(python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3)
    [ -z "${PYTHON:-}" ] || names=("$PYTHON")
    for name in "${names[@]}"; do
        "$name" -I - 2>/dev/null <<'PYTHON' && return
import sys
assert sys.version_info >= (3, 11)
import bz2, ctypes, ensurepip, lzma, sqlite3, ssl, venv
print(sys._base_executable)
PYTHON
    done
    return 1
}

announce() {
    local free
    if [ "$(uname -sm)" = "Linux x86_64" ] && ! "$venv/bin/python" -I -m pip show -q torch 2>/dev/null; then
        say "the first time, up to 3.3 GB are downloaded (2.9 of them torch, which brings CUDA's libraries along) and .venv"
        say "takes 6.5 GB of disk. With 100 Mbit/s: about 8 minutes"
        free=$(df -Pk "$venv" | awk 'NR == 2 { print int($4 / 1e6) }')
        [ "$free" -ge 10 ] || say "only $free GB of disk are free here: about 10 are needed while it installs"
    fi
}

# pip tries again where it gets no connection, but not a download that breaks off in the middle: that is done here. Its
# temporary files lie in `.venv`: /tmp may be small, and nothing stays behind there.
install_packages() {
    local attempt reason show=(--quiet --progress-bar off)
    [ ! -t 2 ] || show=(--progress-bar on)
    for attempt in 1 2 3; do
        # -P: a module in the current folder never stands in for one of pip's.
        if (cd "$top" && TMPDIR=$venv/tmp "$venv/bin/python" -P -m pip install "${show[@]}" --no-input --retries 6 \
            --disable-pip-version-check --log "$log" --editable "$1") >&2 </dev/null; then
            return
        fi
        tail -n 200 "$log" | grep -qE 'IncompleteRead|ConnectionResetError|ProtocolError|ReadTimeout|DO NOT MATCH' || break
        say "the download broke off (attempt $attempt of 3)"
    done
    reason=$(grep -oE 'ERROR: .*' "$log" | tail -n 1)
    ! tail -n 200 "$log" | grep -q 'NewConnectionError' || reason="no connection to the package index"
    fail "pip could not install what vbgcam needs: $reason; the same command goes on from here (log: $log)"
}

# Torch and torchvision of different builds, or a missing library of the system, show only when they are imported.
loadable() {
    "$venv/bin/python" -I - "${modules[@]}" <<'PYTHON' >>"$log" 2>&1
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        sys.exit(f"{name} is installed but cannot be loaded: {str(error).splitlines()[0]}")
PYTHON
}

# Of PROBE=PACKAGE pairs, the packages whose probe (a shared library or a command) is not there.
missing() {
    local python=$1 pair
    shift
    for pair; do
        case ${pair%%=*} in
            *.so*) "$python" -I -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "${pair%%=*}" 2>/dev/null ;;
            *) command -v "${pair%%=*}" >/dev/null ;;
        esac || echo "${pair#*=}"
    done | sort -u
}

# Installs Debian packages as root; else says how, and returns 1.
offer() {
    [ $# -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        say "missing on this system; in Debian the packages are called: $*"
        return 1
    elif [ "$(id -u)" != 0 ]; then
        local install="apt-get install -y --no-install-recommends $*"
        if command -v sudo >/dev/null; then
            say "Debian packages are missing; install them with: sudo apt-get update && sudo $install"
        else
            say "Debian packages are missing; install them with: su -c 'apt-get update && $install'"
        fi
        return 1
    fi
    say "installing Debian packages: $*"
    local output
    # 022: with a private umask, what the packages generate would be unreadable for everybody else. `--configure -a`
    # mends what an earlier, broken off installation left behind.
    if ! output=$( (umask 022 && export DEBIAN_FRONTEND=noninteractive &&
        dpkg --configure -a && { apt-get -q update || :; } &&
        apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@") 2>&1 </dev/null); then
        say "apt-get could not install $*: $(printf '%s\n' "$output" | grep -E '^E: ' | tail -n 1)"
        return 1
    fi
}

#!/usr/bin/env bash
# Check for what pip cannot install: Python with venv, and a C++ compiler for hnswlib, which comes as source.
# As root on Debian or Ubuntu the missing packages are installed; anyone else is told the one command to run.
set -euo pipefail
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "error: $python must be Python 3.11 or newer; name another one: make run PYTHON=python3.12" >&2
    exit 1
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

missing=()
"$python" -c 'import venv, ensurepip' 2>/dev/null || missing+=("python$version-venv")
"$python" -c 'import pathlib, sys, sysconfig
sys.exit(not (pathlib.Path(sysconfig.get_paths()["include"]) / "Python.h").exists())' || missing+=("python$version-dev")
command -v g++ >/dev/null || missing+=(g++)
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
    echo "error: ${missing[*]} missing; on Debian or Ubuntu: sudo apt-get install ${missing[*]}" >&2
    exit 1
fi

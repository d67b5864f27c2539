#!/usr/bin/env bash
# Makes .venv with everything the workflow needs; does nothing when it is there and up to date.
#   envs/setup.sh         what a run needs
#   envs/setup.sh test    also what the tests need (a browser, Slurm, the oracle edrixs, a FEFF)
set -euo pipefail
cd "$(dirname "$0")/.."

VENV=${COREFUSE_VENV:-.venv}
RUN_PACKAGES="g++ libxc-dev libopenblas-dev libfftw3-dev"
TEST_PACKAGES="chromium chromium-driver"
OS_RELEASE=${OS_RELEASE:-/etc/os-release}
SLURM_PACKAGES="munge slurmctld slurmd slurm-client" # the tests run a Slurm of their own
stamp="$VENV/.set-up-$(cat envs/requirements.lock envs/siteconfig.py envs/setup.sh | sha256sum | cut -c1-16)"
test_stamp="$VENV/.set-up-test-$(sha256sum <envs/requirements-test.lock | cut -c1-16)"

system_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then return; fi
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        as_root=(sudo -n)
        if ! sudo -n true 2>/dev/null; then
            echo "set-up: system packages are missing. Run: sudo apt-get install ${missing[*]}" >&2
            exit 1
        fi
    fi
    echo "set-up: installing ${missing[*]}" >&2
    { "${as_root[@]}" apt-get update -q && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y "${missing[@]}"; } >"$log" 2>&1 ||
        { tail -20 "$log" >&2; echo "set-up: apt-get could not install ${missing[*]}" >&2; exit 1; }
}

# Ubuntu has Chromium as a snap alone, which no container runs and which sees no temporary folders.
browser_packages() {
    if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then return; fi
    if grep -qs '^ID=ubuntu$' "$OS_RELEASE"; then
        echo "set-up: Ubuntu has no Chromium but a snap: the report is not tested in a browser." \
            "To do so, put chromium and chromedriver of another source on PATH" >&2
        return
    fi
    # shellcheck disable=SC2086
    system_packages $TEST_PACKAGES
}

# their daemons stay off: the tests start and stop what they need
slurm_packages() {
    local policy=/usr/sbin/policy-rc.d
    if [ "$(id -u)" -ne 0 ]; then
        echo "set-up: not root: the tests on a real Slurm are left out" >&2
        return
    fi
    if [ -e $policy ]; then policy=; else
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    # shellcheck disable=SC2086
    system_packages $SLURM_PACKAGES
    if [ -n "$policy" ]; then rm -f "$policy"; fi
}

# venv and headers: packages of their own on Debian, part of the interpreter elsewhere
python_packages_of_the_system() {
    "$python" -c 'import ensurepip' 2>/dev/null || echo python3-venv
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || echo python3-dev
}

python_packages() {
    "$python" -m venv "$VENV"
    echo "set-up: torch (CPU build, by plain pip)" >&2
    "$VENV/bin/pip" install -q --disable-pip-version-check "$(grep '^torch==' envs/requirements.lock)"
    echo "set-up: pinned packages; GPAW is compiled" >&2
    CC=g++ GPAW_CONFIG="$PWD/envs/siteconfig.py" \
        "$VENV/bin/pip" install -q --disable-pip-version-check -r envs/requirements.lock
    rm -f "$VENV"/.set-up-*
    touch "$stamp"
}

# without their dependencies: those that the tests use are in requirements.lock
test_packages() {
    echo "set-up: test packages" >&2
    "$VENV/bin/pip" install -q --disable-pip-version-check --no-deps --only-binary :all: \
        -r envs/requirements-test.lock
    touch "$test_stamp"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
python=${PYTHON:-python3}
if [ ! -e "$stamp" ]; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        { echo "set-up: $python is missing or older than 3.11. Fix: PYTHON=/path/to/python3.11 make ..." >&2; exit 1; }
    if command -v dpkg-query >/dev/null; then
        # shellcheck disable=SC2046,SC2086 # one word a package
        system_packages $RUN_PACKAGES $(python_packages_of_the_system)
    fi
    python_packages
fi
if [ "${1:-}" = test ]; then
    browser_packages
    if command -v dpkg-query >/dev/null && [ ! -x /usr/sbin/slurmctld ]; then slurm_packages; fi
    [ -e "$test_stamp" ] || test_packages
fi

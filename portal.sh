#!/bin/sh
# The portal's two commands, for a bare Debian 12 (POSIX sh; nothing but the base system is expected).
#
#     ./portal.sh run [--port N] [--demo] …    install what is missing, start everything, print the address
#     ./portal.sh test [pytest arguments]      install what tests need, then lint, types and all tests
#
# Beside them: install (only the installing) · lint · types · doctor · bench · and every verb of "portal" itself.
#
# Settings for the installation, all optional:
#     PORTAL_TORCH_INDEX=URL      take torch from this package index
#     PORTAL_TORCH_WHEELS=FOLDER  take torch from this folder of wheels, no index
#     PORTAL_TORCH_ANY=1          accept a build of torch that deploy/torch-builds.txt does not list
set -eu
cd "$(dirname "$0")"

RUN_PACKAGES="python3 python3-venv ca-certificates redis-server"
TEST_PACKAGES="$RUN_PACKAGES slapd ldap-utils openssl chromium fonts-noto-cjk postgresql espeak-ng iproute2"
POLICY=/usr/sbin/policy-rc.d
PIP_DISABLE_PIP_VERSION_CHECK=1
PIP_ROOT_USER_ACTION=ignore
export PIP_DISABLE_PIP_VERSION_CHECK PIP_ROOT_USER_ACTION

say() { printf '%s\n' "$*"; }
fail() {
    printf 'portal.sh: %s\n' "$*" >&2
    exit 1
}

# --- system packages ------------------------------------------------------------------------------------------------
missing_packages() { # of the names given, those that Debian says are not installed
    command -v dpkg-query >/dev/null 2>&1 || return 0
    for package; do
        state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || state=none
        [ "$state" = installed ] || printf '%s ' "$package"
    done
}

restore_policy() {
    rm -f "$POLICY"
    [ ! -e "$POLICY.before-portal" ] || mv "$POLICY.before-portal" "$POLICY"
}

system_packages() {
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        fail "these system packages are missing: $missing- run it once as root, or let an administrator run:" \
            "apt-get install --no-install-recommends $missing"
    fi
    command -v apt-get >/dev/null 2>&1 || fail "please install: $missing(there is no apt-get here; Debian 12 is supported)"
    say "Installing system packages: $missing"
    # without this, apt would start Debian's own redis, slapd and PostgreSQL, open to the network
    trap restore_policy EXIT
    trap 'exit 130' INT TERM HUP
    [ ! -e "$POLICY" ] || mv "$POLICY" "$POLICY.before-portal"
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    restore_policy
    trap - EXIT INT TERM HUP
}

# --- Python ---------------------------------------------------------------------------------------------------------
find_python() { # Debian's own first: the lock file is made for its version
    for python in /usr/bin/python3 python3.11 python3; do
        if "$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            printf '%s' "$python"
            return 0
        fi
    done
    fail "Python 3.11 with venv is needed (Debian 12: apt-get install python3-venv)"
}

has_gpu() { command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU; }

pip_from_lock() { # jieba and a few others exist as source only: pip builds them with the setuptools of the same lock
    .venv/bin/pip install -qq --require-hashes --no-deps --no-build-isolation --use-pep517 -r "$1"
}

install_torch() {
    version=$(sed -n 's/^version //p' deploy/torch-builds.txt)
    wanted="torch==$version"
    if [ -n "${PORTAL_TORCH_WHEELS:-}" ]; then
        set -- --no-index --find-links "$PORTAL_TORCH_WHEELS"
    elif [ -n "${PORTAL_TORCH_INDEX:-}" ]; then
        set -- --index-url "$PORTAL_TORCH_INDEX"
    else
        set --
        # "==" lets pip prefer a "+cpu" build where it sees one; "===" is the plain build, which carries CUDA
        ! has_gpu || wanted="torch===$version"
    fi
    if .venv/bin/python -c 'import importlib.metadata as m, sys; sys.exit(m.version("torch").split("+")[0] != sys.argv[1])' \
        "$version" 2>/dev/null && [ -f .venv/.torch-accepted ]; then
        return 0
    fi
    say "Installing torch $version"
    rm -rf .venv/torch-download
    .venv/bin/pip download -qq --no-deps --dest .venv/torch-download "$@" "$wanted"
    wheel=$(find .venv/torch-download -name 'torch-*.whl')
    sum=$(sha256sum "$wheel" | cut -d ' ' -f 1)
    kind=$(sed -n "s/^\([a-z]*\) $sum .*/\1/p" deploy/torch-builds.txt)
    if [ -z "$kind" ]; then
        [ "${PORTAL_TORCH_ANY:-}" = 1 ] || fail "$(basename "$wheel") (SHA-256 $sum) is not an accepted build of torch;" \
            "see deploy/torch-builds.txt, or set PORTAL_TORCH_ANY=1 if you vouch for it"
        kind=any
    fi
    case $kind in
    cpu) ;;
    cuda)
        has_gpu || say "  No NVIDIA GPU here, but this build brings CUDA (2.5 GB more). A smaller one: PORTAL_TORCH_INDEX or PORTAL_TORCH_WHEELS."
        pip_from_lock requirements-cuda.lock
        ;;
    any) .venv/bin/pip install -qq "$@" "$wheel" ;;
    esac
    .venv/bin/pip install -qq --no-deps --no-index --force-reinstall "$wheel"
    rm -rf .venv/torch-download
    touch .venv/.torch-accepted
}

stamp_name() { # changes when anything that decides what is installed changes
    {
        cat "$1" pyproject.toml deploy/torch-builds.txt requirements-cuda.lock
        printf '%s\n' "$PWD" "${PORTAL_TORCH_INDEX:-}" "${PORTAL_TORCH_WHEELS:-}"
    } | sha256sum | cut -c 1-16
}

python_packages() { # python_packages LOCK: torch first, the rest from the lock, then the portal itself
    lock=$1
    stamp=.venv/.installed-$(stamp_name "$lock")
    dev_stamp=.venv/.installed-$(stamp_name requirements-dev.lock)
    if [ -x .venv/bin/portal ] && { [ -f "$stamp" ] || [ -f "$dev_stamp" ]; } && .venv/bin/python -c '' 2>/dev/null; then
        return 0
    fi
    if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        rm -rf .venv
        python=$(find_python)
        "$python" -m venv .venv
    fi
    say "Installing Python packages (some minutes the first time)"
    # setuptools builds the few packages that come as source; it is taken, with its hash, from the same lock
    sed -n '/^\(setuptools\|wheel\|packaging\)==/,/^[^ ]/{/^\(setuptools\|wheel\|packaging\)==/p;/^    --hash/p;}' "$lock" >.venv/build-tools.txt
    .venv/bin/pip install -qq --require-hashes --no-deps -r .venv/build-tools.txt
    install_torch
    pip_from_lock "$lock"
    .venv/bin/pip install -qq --no-deps --no-build-isolation --no-index -e .
    .venv/bin/python -m compileall -q portal >/dev/null
    rm -f .venv/.installed-*
    touch "$stamp"
}

install_run() {
    # shellcheck disable=SC2086  # a list of package names
    system_packages $RUN_PACKAGES
    python_packages requirements.lock
}

install_test() {
    # shellcheck disable=SC2086  # a list of package names
    system_packages $TEST_PACKAGES
    python_packages requirements-dev.lock
}

# --- verbs ----------------------------------------------------------------------------------------------------------
lint() { .venv/bin/ruff check . && .venv/bin/ruff format --check .; }
types() { .venv/bin/mypy; }

run_tests() { # every stage runs, so that one CI round shows all that is wrong; the status is that of all of them
    failed=""
    lint || failed="$failed lint"
    types || failed="$failed types"
    # a process per core, each with its own servers; a file stays in one process, in the usual order (the tests of the
    # shipped models want the whole of FunASR, which later files load in parts)
    .venv/bin/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder "$@" || failed="$failed tests"
    [ -z "$failed" ] || fail "failed:$failed"
}

usage() { sed -n '2,12s/^# \{0,1\}//p' portal.sh; }

verb=${1:-help}
[ $# -eq 0 ] || shift
case $verb in
run)
    install_run
    exec .venv/bin/portal up "$@"
    ;;
install)
    install_run
    say "Installed. Start it with: ./portal.sh run"
    ;;
test)
    install_test
    run_tests "$@"
    ;;
lint | types)
    install_test
    "$verb"
    ;;
help | -h | --help) usage ;;
*)
    install_run
    exec .venv/bin/portal "$verb" "$@"
    ;;
esac

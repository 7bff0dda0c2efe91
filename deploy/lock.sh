#!/bin/sh
# Writes requirements.lock (to run) and requirements-dev.lock (to run and to test): every package with its hashes.
# torch and the CUDA packages are left out on purpose: portal.sh installs torch by itself, from deploy/torch-builds.txt.
#
#     deploy/lock.sh              keep the versions that are locked, add and drop what pyproject.toml asks for
#     deploy/lock.sh --upgrade    take the newest versions that pyproject.toml allows
set -eu
cd "$(dirname "$0")/.."
compile=${PIP_COMPILE:-.venv/bin/pip-compile}
torch_version=$(sed -n 's/^version //p' deploy/torch-builds.txt)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

# drops the blocks of torch, of what only its CUDA builds need, and of the lines that a compile adds about them
without_torch() {
    awk '
        /^[a-zA-Z0-9]/ { drop = ($0 ~ /^(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==/ && $0 !~ /^nvidia-ml-py==/) }
        !drop
    ' "$1"
}

lock() { # lock OUTPUT ARGUMENTS...
    output=$1
    shift
    [ ! -f "$output" ] || cp "$output" "$work/lock.txt"
    CUSTOM_COMPILE_COMMAND=deploy/lock.sh "$compile" --quiet --generate-hashes --strip-extras --allow-unsafe \
        --no-emit-find-links --no-emit-index-url --no-emit-trusted-host --constraint "$work/constraints.txt" \
        --output-file "$work/lock.txt" "$@" pyproject.toml
    without_torch "$work/lock.txt" | grep -v -e '^    #   -c ' -e '^    # via -c ' >"$work/clean.txt"
    if grep -n -E '://|^-|/opt/|/tmp/' "$work/clean.txt"; then
        echo "lock.sh: $output would name a host or a folder (lines above); nothing was written" >&2
        exit 1
    fi
    cp "$work/clean.txt" "$output"
    rm -f "$work/lock.txt"
}

echo "torch==$torch_version" >"$work/constraints.txt"
lock requirements.lock "$@"
# the tests run with exactly what the portal runs with
sed -n 's/^\([a-zA-Z0-9._-]*==[^ ]*\).*/\1/p' requirements.lock >>"$work/constraints.txt"
lock requirements-dev.lock --extra dev "$@"

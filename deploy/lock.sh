#!/bin/sh
# Writes requirements.lock (to run), requirements-dev.lock (to run and to test) and requirements-cuda.lock (what the
# CUDA build of torch needs besides): every package with its hashes. torch itself is in none of them: portal.sh
# installs it first, and deploy/torch-builds.txt lists the builds it accepts.
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

# keeps what requirements.lock does not have already
only_cuda() {
    awk '
        /^[a-zA-Z0-9]/ { split($1, part, "=="); name = part[1] }
        FILENAME == base { if (name) have[name] = 1; next }
        FNR == 1 { name = "" }
        !(name == "torch" || name in have)
    ' base=requirements.lock requirements.lock "$1"
}

lock() { # lock OUTPUT FILTER ARGUMENTS...
    output=$1
    filter=$2
    shift 2
    [ ! -f "$output" ] || cp "$output" "$work/lock.txt"
    CUSTOM_COMPILE_COMMAND=deploy/lock.sh "$compile" --quiet --generate-hashes --strip-extras --allow-unsafe \
        --no-emit-find-links --no-emit-index-url --no-emit-trusted-host --constraint "$work/constraints.txt" \
        --output-file "$work/lock.txt" "$@"
    "$filter" "$work/lock.txt" | grep -v -e '^    #   -c ' -e '^    # via -c ' >"$work/clean.txt"
    if grep -n -E '://|^-|/opt/|/tmp/' "$work/clean.txt"; then
        echo "lock.sh: $output would name a host or a folder (lines above); nothing was written" >&2
        exit 1
    fi
    cp "$work/clean.txt" "$output"
    rm -f "$work/lock.txt"
}

echo "torch==$torch_version" >"$work/constraints.txt"
lock requirements.lock without_torch "$@" pyproject.toml
# the tests run with exactly what the portal runs with
sed -n 's/^\([a-zA-Z0-9._-]*==[^ ]*\).*/\1/p' requirements.lock >>"$work/constraints.txt"
lock requirements-dev.lock without_torch --extra dev "$@" pyproject.toml
# "===" is the plain build, which carries CUDA; pip would prefer a "+cpu" build where it sees one
echo "torch===$torch_version" >"$work/torch.in"
grep -v '^torch==' "$work/constraints.txt" >"$work/others.txt"
mv "$work/others.txt" "$work/constraints.txt"
lock requirements-cuda.lock only_cuda "$@" "$work/torch.in"

#!/bin/sh
# Runs one measurement in a release build, prints its table and keeps a dated record: perf/run.sh path
set -eu
cd "$(dirname "$0")/.."
program=${1:?"which measurement? path"}
date=$(date -u +%Y-%m-%dT%H:%M:%SZ)
commit=$(git rev-parse --short=12 HEAD)
git diff --quiet HEAD -- src perf Cargo.lock Cargo.toml || commit="$commit-dirty"
cargo build --quiet --release --package portunus-perf --bin "$program"
mkdir -p perf/records
exec "${CARGO_TARGET_DIR:-target}/release/$program" "$date" "$commit" \
    "perf/records/$(date -u -d "$date" +%Y-%m-%d-%H%M)-$program-$commit.json"

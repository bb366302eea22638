#!/bin/sh
# Runs measurements in a release build, prints their tables and keeps dated records: perf/run.sh QUESTION
#   path                                                      in one process: the engine without sockets
#   fanout coalesce audio meeting saturation join api memory scale floor     servers and a load generator; floor alone
#   all                                                       each of them, some ten minutes
# PERF_LONG=1 measures five times as long; PERF_SMOKE=1 asks only whether a question with servers works: in some ten
# seconds, of ours and the floor, without a record. Each question is bounded in time, and its processes go with it.
set -eu
cd "$(dirname "$0")/.."
questions="path fanout coalesce audio meeting saturation join api memory scale floor"
question=${1:?"which measurement? $questions, or all"}
[ "$question" = all ] || questions=$question

date=$(date -u +%Y-%m-%dT%H:%M:%SZ)
commit=$(git rev-parse --short=12 HEAD)
git diff --quiet HEAD -- src shards perf Cargo.lock Cargo.toml || commit="$commit-dirty"
target=${CARGO_TARGET_DIR:-target}
cargo build --quiet --release --package portunus-perf --package portunus --bins
mkdir -p perf/records
# What servers are configured with, should the program not come to remove it itself.
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
failed=
for question in $questions; do
    echo "== $question"
    record="perf/records/$(date -u -d "$date" +%Y-%m-%d-%H%M)-$question-$commit.json"
    case $question in
    path) "$target/release/$question" "$date" "$commit" "$record" ;;
    *) "$target/release/load" "$question" "$date" "$commit" "$record" "$target/release/portunus" ;;
    esac || failed="$failed $question"
done
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }

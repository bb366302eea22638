#!/bin/sh
# Instructions of each stage of the engine per delivered packet, and of an API request, counted by valgrind: the same on every
# machine and under any load. perf/icount.sh prints them beside perf/icount.baseline and fails when one has grown by more than
# a tenth; perf/icount.sh --keep makes them the baseline.
set -eu
cd "$(dirname "$0")/.."
command -v callgrind_annotate >/dev/null || { echo "valgrind is missing: apt-get install valgrind" >&2; exit 1; }
target=${CARGO_TARGET_DIR:-target}
out=$target/icount
mkdir -p "$out"
cargo build --quiet --release --locked --package portunus-perf --bin path

# The inclusive count of a function: the greatest of those under its name, the others are what was inlined into it. What the
# compiler has inlined into others is theirs.
inclusive() { awk -v name=":$2" '/=>/ { next }
    { at = index($0, name); after = substr($0, at + length(name), 1); gsub(",", "", $1) }
    at && (after == "" || after == " ") && $1 + 0 > most { most = $1 + 0 }
    END { print most + 0 }' "$1"; }

# Counts what `path count ARGUMENTS RUNS` does, by the stages on standard input.
stages() {
    case=$1
    shift
    # Two lengths, so that what comes before and after is in neither figure.
    for runs in 2 6; do
        valgrind --quiet --tool=callgrind --callgrind-out-file="$out/$case.$runs" \
            "$target/release/path" count "$@" "$runs" > "$out/$case.$runs.done" 2>/dev/null
        callgrind_annotate --inclusive=yes --auto=no --show-percs=no --threshold=100 "$out/$case.$runs" \
            > "$out/$case.$runs.text" 2>/dev/null
    done
    done=$(($(cat "$out/$case.6.done") - $(cat "$out/$case.2.done")))
    while read -r stage name; do
        more=$(($(inclusive "$out/$case.6.text" "$name") - $(inclusive "$out/$case.2.text" "$name")))
        awk -v case="$case" -v stage="$stage" -v more="$more" -v done="$done" \
            'BEGIN { printf "%-10s %-10s %.1f\n", case, stage, more / done }'
    done
}

packets() {
    stages "$1-$2" "$1" "$2" <<STAGES
receive portunus::media::engine::MediaEngine::handle_datagram
open portunus::proto::srtp::inbound::Inbound::unprotect_rtp
timers portunus::media::engine::MediaEngine::handle_timeout
release portunus::media::engine::MediaEngine::release
header portunus::media::leg::Leg::write_header
seal portunus::proto::srtp::outbound::Outbound::seal_at
STAGES
}

{
    packets video 1
    packets video 50
    packets audio 50
    for shards in 1 2 4 8; do packets shards "$shards"; done
    echo "request portunus::signalling::SignallingEngine::handle_bytes" | stages api api
} > "$out/now"
if [ "${1:-}" = --keep ]; then
    cp "$out/now" perf/icount.baseline
fi
awk 'BEGIN { printf "%-10s %-10s %10s %10s %8s\n", "case", "stage", "baseline", "now", "change" }
    NR == FNR { before[$1 $2] = $3; next }
    { old = before[$1 $2]; change = old > 0 ? sprintf("%+.1f %%", ($3 / old - 1) * 100) : ""
      printf "%-10s %-10s %10s %10s %8s\n", $1, $2, old, $3, change
      if ($3 > old * 1.1) grown = grown " " $1 "/" $2 }
    END { if (grown) { print "grown by more than a tenth:" grown; exit 1 } }' perf/icount.baseline "$out/now"

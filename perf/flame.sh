#!/bin/sh
# Where the time of a question goes: perf/flame.sh QUESTION writes target/flame/QUESTION.folded (stack;stack;stack count, the
# input of inferno-flamegraph or flamegraph.pl), its picture where one of them is installed, and prints the heaviest symbols.
set -eu
cd "$(dirname "$0")/.."
question=${1:?"which question? fanout coalesce audio meeting saturation join api memory scale floor"}
command -v perf >/dev/null || { echo "perf is missing: apt-get install linux-perf" >&2; exit 1; }
target=${CARGO_TARGET_DIR:-target}
out=$target/flame
mkdir -p "$out"
cargo build --quiet --release --package portunus-perf --package portunus --bins
# A virtual machine may have no hardware counters; the clock is everywhere. Children are recorded with their parent.
perf record --quiet --event cpu-clock --freq 997 --call-graph dwarf,8192 --output "$out/perf.data" -- \
    "$target/release/load" "$question" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" flame "$out/$question.json" "$target/release/portunus"
# Ours alone: its threads by name. Without hardware counters the kernel's work under a lock is seen where interrupts come back
# on, in _raw_spin_unlock_irqrestore and its like.
threads=$(perf report --input "$out/perf.data" --stdio --sort comm --no-children --call-graph none 2>/dev/null |
    awk '$2 ~ /^(media|signalling|portunus)/ { print $2 }' | paste -sd, -)
perf report --input "$out/perf.data" --stdio --no-children --comms "$threads" --sort symbol --percentage relative \
    --call-graph none 2>/dev/null | sed -n 's/ *- *- *$//; /^ *[0-9]/p' | sort -rn | head -40
perf script --input "$out/perf.data" --comms "$threads" --fields comm,ip,sym 2>/dev/null | awk '
    /^[^[:space:]]/ { comm = $1; stack = ""; next }
    NF == 0 { if (stack != "") count[comm stack]++; stack = ""; next }
    { sub(/^[[:space:]]*[0-9a-f]+ /, ""); sub(/ \(.*\)$/, ""); stack = ";" $0 stack }
    END { for (s in count) print s, count[s] }' > "$out/$question.folded"
for draw in inferno-flamegraph flamegraph.pl; do
    if command -v "$draw" >/dev/null; then
        "$draw" < "$out/$question.folded" > "$out/$question.svg"
        echo "$out/$question.svg"
        exit
    fi
done
echo "$out/$question.folded (a picture: cargo install inferno, or flamegraph.pl of https://github.com/brendangregg/FlameGraph)"

#!/usr/bin/env bash
# The figures of docs/benchmarks.md: one line of JSON per measurement, into bench/results/ and to stdout.
# Usage: bench/run.sh [quick]   quick: shorter windows, to see that it works
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh run
make -s build
cargo build --release --locked -q -p nanomon-bench
seconds=60
[ "${1:-}" = quick ] && seconds=20
mkdir -p bench/results
out=bench/results/$(date +%Y%m%d-%H%M%S).jsonl

measure() {
  local name=$1
  shift
  printf '{"name":"%s","figures":' "$name"
  target/release/nanomon-bench "$@" | tr -d '\n'
  printf '}\n'
}

{
  printf '{"name":"executable","figures":{"bytes":%s}}\n' "$(stat -c %s target/release/nanomon)"
  measure "empty folder to first result" first
  measure "floor, 100/s" floor --rate 100
  measure "floor, 1,000/s" floor --rate 1000
  measure "1,000 @ 10 s" cost --monitors 1000 --interval 10 --seconds $((seconds * 2))
  measure "10,000 @ 10 s" cost --monitors 10000 --interval 10 --seconds "$seconds"
  measure "10,000 @ 10 s, scraped and edited" cost --monitors 10000 --interval 10 --seconds "$seconds" --disturb
  measure "1,000 @ 10 s, HTTPS" cost --monitors 1000 --interval 10 --seconds "$seconds" --tls
  measure "5,000 @ 1 s" cost --monitors 5000 --interval 1 --seconds "$seconds"
  measure "20,000 @ 1 s" cost --monitors 20000 --interval 1 --seconds "$seconds"
  measure "5.0 ms target, 100/s" cost --monitors 1000 --interval 10 --seconds "$seconds" --delay-ms 5
  measure "5.0 ms target, 1,000/s" cost --monitors 10000 --interval 10 --seconds "$seconds" --delay-ms 5
  measure "memory, diverse" cost --monitors 10000 --interval 10 --seconds "$seconds" --diverse --apart
} | tee "$out"

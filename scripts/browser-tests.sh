#!/usr/bin/env bash
# Starts a standalone of the built tree on free ports with the example monitors and runs the browser tests against it.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build -q --locked -p nanomon
data=$(mktemp -d)
chmod 755 "$data"
port() { node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'; }
api=$(port) web=$(port)
mkdir "$data/monitors"
for file in docs/examples/*.yaml; do
  sed -e "s/:8000/:$api/" -e "s/:8001/:$web/" "$file" >"$data/monitors/$(basename "$file")"
done
PORT=$api FRONTEND_PORT=$web target/debug/nanomon standalone --data-dir "$data/data" --monitors "$data/monitors" &
pid=$!
cleanup() {
  kill -TERM "$pid" 2>/dev/null && wait "$pid" || true
  rm -rf "$data"
}
trap cleanup EXIT
for _ in $(seq 1 300); do
  curl -fs "http://127.0.0.1:$api/api/health" >/dev/null && break
  kill -0 "$pid" || exit 1
  sleep 0.2
done
cd frontend
BASE_URL="http://127.0.0.1:$web" npm run e2e

#!/usr/bin/env bash
# Starts a standalone of the built tree on free ports with the example monitors and runs the browser tests against it.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build -q --locked -p nanomon
data=$(mktemp -d)
chmod 755 "$data"
# Answers once the API does; node is here anyway, curl may not be.
healthy() { node -e 'fetch(process.argv[1]).then(r=>process.exit(r.ok?0:1),()=>process.exit(1))' "http://127.0.0.1:$api/api/health"; }
port() { node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'; }
api=$(port) web=$(port)
scripts/examples.sh "$data/monitors" "$api" "$web"
PORT=$api FRONTEND_PORT=$web target/debug/nanomon standalone --data-dir "$data/data" --monitors "$data/monitors" &
pid=$!
cleanup() {
  kill -TERM "$pid" 2>/dev/null && wait "$pid" || true
  rm -rf "$data"
}
trap cleanup EXIT
deadline=$((SECONDS + 60))
until healthy; do
  kill -0 "$pid" || exit 1
  if [ "$SECONDS" -ge "$deadline" ]; then
    echo "the standalone did not answer within 60 s" >&2
    exit 1
  fi
  sleep 0.2
done
cd frontend
BASE_URL="http://127.0.0.1:$web" npm run e2e

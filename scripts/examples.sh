#!/bin/sh
# Copies the example monitors into a folder, with the ports of the two that watch NanoMon itself. Usage: scripts/examples.sh DIR API_PORT DASHBOARD_PORT
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
for file in docs/examples/*.yaml; do
  sed -e "s/:8000/:$2/" -e "s/:8001/:$3/" "$file" >"$1/$(basename "$file")"
done

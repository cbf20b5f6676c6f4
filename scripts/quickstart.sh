#!/bin/sh
# From a fresh clone to a running virtual machine: set-up, then examples/quickstart.ts. What it started from is kept for every
# later sandbox.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
PATH="$PWD/node_modules/.bin:$PATH"
export PATH
node examples/quickstart.ts
# The sandboxes of the example ended before their template was on the disk for certain, and checked. Where there can be none, such
# as when templates are turned off, this says why, and sandboxes boot.
node dist/cli/main.js pull --quiet --warm localhost/base || true

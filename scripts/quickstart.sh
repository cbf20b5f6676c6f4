#!/bin/sh
# From a fresh clone to a running virtual machine: set-up, then examples/quickstart.ts.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
PATH="$PWD/node_modules/.bin:$PATH"
export PATH
exec node examples/quickstart.ts

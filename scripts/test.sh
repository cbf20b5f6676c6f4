#!/bin/sh
# Every check there is, or with "quick" those that need no machine. scripts/test-stages.ts has the stages.
set -eu
cd "$(dirname "$0")/.."

begun=$(date +%s)
sh scripts/setup.sh --tests
PATH="$PWD/node_modules/.bin:$PATH"
export PATH
exec node scripts/test-stages.ts "${1-all}" "$(($(date +%s) - begun))"

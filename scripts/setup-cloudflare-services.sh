#!/bin/sh
# Makes everything that the Worker needs in a Cloudflare account; see docs/deployment.md.
# All arguments go to the Python script: --dry-run shows what it would do.
set -eu
cd "$(dirname "$0")/.."
exec python3 scripts/setup_cloudflare.py "$@"

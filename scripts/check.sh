#!/usr/bin/env bash
# Format, lint, types, tests: what a change needs before it is proposed. `--fast` leaves the tests out.
set -euo pipefail
cd "$(dirname "$0")/.."

ruff format --check .
ruff check .
mypy
if [[ "${1:-}" != "--fast" ]]; then
    pytest
fi

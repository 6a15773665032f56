#!/usr/bin/env bash
# Format, lint, types, the site and its links, tests: what a change needs before it is proposed. `--fast` leaves the tests out.
set -euo pipefail
cd "$(dirname "$0")/.."

ruff format --check .
ruff check .
mypy
mkdocs build --strict --quiet -f .mkdocs.yml
if [[ "${1:-}" != "--fast" ]]; then
    pytest
fi

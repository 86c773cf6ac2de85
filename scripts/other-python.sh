#!/usr/bin/env bash
# An environment in .tools/other with what the contract needs, under another Python version than .venv's: endorsements
# have to be equal byte for byte under both. Taken is a version that this machine has, of those named as arguments;
# where it has none, one that is published as a Go module. Where neither can be had nothing is made: CI fails then.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=.tools/bin/uv
version() { # of a Python that is new enough and has venv; names on PATH may be stubs that do not run
  "$1" -c 'import sys, venv; sys.version_info < (3, 11) and sys.exit(1); print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}
own=$(version .venv/bin/python)

# python-build-standalone's builds of CPython, packed one by one; the digest is the Go checksum database's.
module=github.com/kluctl/go-embed-python@v0.0.0-3.14.6-20260610-1
digest=h1:oGUS7++Wm3LgxUfD6AmJgKbKQD2wdQFO9PzyJv6T+E4=
minor=3.14

unpack() {
  local found folder
  found=$(GOFLAGS=-mod=mod go mod download -json "$module") || return 1
  grep -qF "\"Sum\": \"$digest\"" <<<"$found" || { echo "$module is not what it was" >&2; return 1; }
  folder=$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$found")/python/internal/data/$(go env GOOS)-$(go env GOARCH)
  rm -rf .tools/other-python && cp -r "$folder" .tools/other-python && chmod -R u+w .tools/other-python &&
    find .tools/other-python -name '*.gz' -exec gunzip {} + && chmod +x ".tools/other-python/bin/python$minor"
}

other=
for python in "$@"; do
  found=$(version "$python") && [ "$found" != "$own" ] && other=$python && break
done
if [ -z "$other" ] && [ "$own" != "$minor" ] && command -v go >/dev/null && unpack; then
  other=$PWD/.tools/other-python/bin/python$minor
fi
if [ -z "$other" ]; then
  echo "no second version of Python (3.11 or newer) is there, and Go got none: the test that needs it is skipped"
  [ "${CI:-}" != true ]
  exit
fi
mkdir -p .tools/other
$uv venv --quiet --clear --no-python-downloads --python "$other" .tools/other
$uv export --locked --quiet --no-dev --no-emit-project -o .tools/other/requirements.txt >/dev/null
$uv pip install --quiet --python .tools/other --require-hashes -r .tools/other/requirements.txt
touch .tools/other/.installed

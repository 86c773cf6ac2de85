#!/usr/bin/env bash
# Images for docker-compose-fabric.yaml on a machine that reaches no image registry: Fabric's programs of this machine
# in images FROM scratch, and Yilian's own Dockerfile over a root file system of Debian packages.
# Prints the variables that make the compose file use them.
#   scripts/fabric-images.sh FOLDER_WITH_FABRIC_PROGRAMS
# KUBO: the program of IPFS, else .tools/kubo/bin/ipfs.
# Needs: mmdebstrap (as root), go, docker with BuildKit built in (Debian: docker.io).
set -euo pipefail
cd "$(dirname "$0")/.."
programs=$(cd "$1" && pwd)
python=localhost/yilian-python:local tools=localhost/fabric-tools:local

# Debian's client has BuildKit built in; others need the plug-in buildx.
docker() {
  local client=/usr/bin/docker
  [ -x "$client" ] || client=$(type -P docker)
  DOCKER_BUILDKIT=1 "$client" "$@"
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A root file system with Python, unpacked only, and with the authorities that this machine trusts.
if ! docker image inspect "$python" >/dev/null 2>&1; then
  mmdebstrap --quiet --mode=root --variant=extract --include=python3,python3-venv,libstdc++6,dash,coreutils,ca-certificates \
    --extract-hook='cp --dereference /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"' \
    "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$work/root.tar"
  bundle=/etc/ssl/certs/ca-certificates.crt
  docker import --change "ENV SSL_CERT_FILE=$bundle PIP_CERT=$bundle" "$work/root.tar" "$python" >/dev/null
fi

# FROM scratch: one folder, one image.
scratch() { # NAME FOLDER
  printf 'FROM scratch\nCOPY . /\nENV PATH=/usr/local/bin\n' | docker build --quiet --tag "$1" --file - "$2" >/dev/null
}
for program in peer orderer; do
  mkdir -p "$work/$program/usr/local/bin"
  cp "$programs/$program" "$work/$program/usr/local/bin/"
  scratch "localhost/fabric-$program:local" "$work/$program"
done
fabric=$work/tools/opt/fabric
mkdir -p "$fabric/bin" "$fabric/builder/bin"
cp "$programs"/{peer,orderer,configtxgen,configtxlator,cryptogen} "$fabric/bin/"
for step in detect build release; do
  CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$fabric/builder/bin/$step" network/topology/builder/static/main.go
done
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$fabric/probe" network/topology/probe/main.go
scratch "$tools" "$work/tools"

# Debian's PostgreSQL, unpacked only, behind an entry point that knows the variables of the official image.
postgresql=localhost/postgresql:local
if ! docker image inspect "$postgresql" >/dev/null 2>&1; then
  mmdebstrap --quiet --mode=root --variant=extract --include=postgresql,dash,coreutils \
    --extract-hook='cp scripts/postgresql-entrypoint.sh "$1/usr/bin/docker-entrypoint.sh"' \
    --extract-hook='echo "yilian:x:10001:10001::/tmp:/bin/sh" >>"$1/etc/passwd"' \
    --extract-hook='mkdir -p "$1/var/run" && mkdir -m 1777 "$1/var/run/postgresql"' \
    --extract-hook='cd "$1/usr" && ln -s lib/postgresql/*/bin postgresql' \
    "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$work/postgresql.tar"
  docker import --change 'ENV PATH=/usr/postgresql:/usr/bin:/bin' \
    --change 'ENTRYPOINT ["sh", "/usr/bin/docker-entrypoint.sh"]' "$work/postgresql.tar" "$postgresql" >/dev/null
fi

# Kubo as it was built here, over the root file system that has a shell for it.
kubo=$work/kubo
mkdir -p "$kubo"
cp "${KUBO:-.tools/kubo/bin/ipfs}" "$kubo/ipfs"
printf 'FROM %s\nCOPY ipfs /usr/local/bin/ipfs\n' "$python" |
  docker build --quiet --tag localhost/kubo:local --file - "$kubo" >/dev/null

own() { # TARGET NAME
  docker build --quiet --network host --target "$1" --tag "localhost/$2:local" \
    --build-arg PYTHON_IMAGE="$python" --build-arg FABRIC_TOOLS="$tools" . >/dev/null
}
own yilian yilian
own network yilian-network
echo FABRIC_IMAGE=localhost/fabric FABRIC_VERSION=local YILIAN_IMAGE=localhost/yilian YILIAN_VERSION=local \
  POSTGRESQL_IMAGE=localhost/postgresql POSTGRESQL_VERSION=local KUBO_IMAGE=localhost/kubo KUBO_VERSION=local

#!/bin/sh
# Starts a hospital's Kubo node as docs/operations.md recommends it: alone, no gateway, its RPC for the bearer of a token.
# IPFS_PATH: folder of the repository, made at the first start. RPC: multiaddress. TOKEN_FILE: the token alone.
set -eu
umask 077
token=$(cat "$TOKEN_FILE")
[ ${#token} -ge 16 ]
[ -e "$IPFS_PATH/config" ] || ipfs init --empty-repo --profile=server
set_to() { ipfs config --json "$1" "$2"; }
set_to Addresses.API "\"$RPC\""
set_to Addresses.Gateway '[]'
set_to Addresses.Swarm '[]'
set_to Bootstrap '[]'
set_to Routing.Type '"none"'
set_to AutoConf.Enabled false
set_to Discovery.MDNS.Enabled false
set_to Provide.Enabled false
set_to API.Authorizations '{"node": {"AuthSecret": "bearer:@TOKEN@", "AllowedPaths": [
  "/api/v0/add", "/api/v0/cat", "/api/v0/refs", "/api/v0/block/get", "/api/v0/block/stat", "/api/v0/pin/ls",
  "/api/v0/pin/rm", "/api/v0/repo/gc", "/api/v0/repo/stat", "/api/v0/version"]}}'
# By the shell itself: everybody on the machine reads command lines.
config=$(cat "$IPFS_PATH/config")
printf '%s\n' "${config%%@TOKEN@*}$token${config#*@TOKEN@}" >"$IPFS_PATH/config.new"
mv "$IPFS_PATH/config.new" "$IPFS_PATH/config"
rm -f "$IPFS_PATH/api"  # of a process that was killed
IPFS_TELEMETRY=off exec ipfs daemon --offline --migrate

#!/usr/bin/env bash
# Puts sse-probe onto the PATH of a workflow: a released archive if BINARY_URL names one, else a build from SOURCE.
set -euo pipefail
bin=${RUNNER_TEMP:?}/sse-probe-bin
mkdir -p "$bin"
if [[ -n ${BINARY_URL:-} ]]; then
  [[ ${BINARY_SHA256:-} =~ ^[0-9a-f]{64}$ ]] || { echo 'binary-sha256 must be the 64 hex digits of the archive' >&2; exit 2; }
  curl -fsSL --proto '=https' -o "$bin/archive.tar.gz" "$BINARY_URL"
  echo "$BINARY_SHA256  $bin/archive.tar.gz" | sha256sum --check --quiet
  tar -xzf "$bin/archive.tar.gz" -C "$bin" --strip-components=1
else
  cargo install --locked --quiet --path "${SOURCE:?}/crates/sse-probe" --root "$bin/root"
  mv "$bin/root/bin/sse-probe" "$bin/"
fi
"$bin/sse-probe" --version
echo "$bin" >>"${GITHUB_PATH:?}"

#!/usr/bin/env bash
# Builds a static binary and its archive: packaging/sse-probe/release.sh [TARGET] [FOLDER]
#
# TARGET is x86_64-unknown-linux-musl by default; it must be installed (rustup target add), with musl-gcc. Where it is not,
# x86_64-unknown-linux-gnu with a static C library does as well. FOLDER is target/release-archives by default.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${1:-x86_64-unknown-linux-musl}
folder=${2:-target/release-archives}
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
name=sse-probe-$version-$target
flags=''
case $target in
  *-linux-musl) flags='-C target-feature=+crt-static' ;;
  *-linux-gnu) flags='-C target-feature=+crt-static -C relocation-model=static' ;;
esac
# A folder of its own: other flags would rebuild everything in the usual one.
RUSTFLAGS="$flags" cargo build --locked --release --target "$target" --target-dir target/static -p sse-probe --bin sse-probe
mkdir -p "$folder/$name"
install -m 755 "target/static/$target/release/sse-probe" "$folder/$name/sse-probe"
strip "$folder/$name/sse-probe" 2>/dev/null || true
cp LICENSE-MIT LICENSE-APACHE crates/sse-probe/README.md docs/src/sse-probe.md packaging/sse-probe/sse-probe.service "$folder/$name/"
# The same input gives the same archive.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime='2020-01-01 00:00:00Z' \
  -C "$folder" -cf - "$name" | gzip -n >"$folder/$name.tar.gz"
rm -r "${folder:?}/$name"
(cd "$folder" && sha256sum "$name.tar.gz" | tee "$name.tar.gz.sha256")

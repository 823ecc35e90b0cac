#!/usr/bin/env bash
# Makes the packages of the crates as the registry would get them, looks into them, and builds an
# application that has nothing but them: packaging/package.sh
#
# What is made stands in target/package: the archives, `unpacked`, and `bare`, the application. It asks the
# registry for nothing that is not here already; where something is missing it goes online.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly PACKAGES=(actix-web-sse actix-web-sse-metrics actix-web-sse-redis sse-probe)
readonly MADE=target/package
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)

fail() { printf 'packaging/package.sh: %s\n' "$*" >&2; exit 1; }

# The list above is that of the manifests.
published=$(cargo metadata --locked --no-deps --format-version 1 | python3 -c '
import json, sys
packages = json.load(sys.stdin)["packages"]
print(*sorted(p["name"] for p in packages if p["publish"] is None))')
[[ $published == "${PACKAGES[*]}" ]] || fail "the manifests publish: $published"

chosen=()
for name in "${PACKAGES[@]}"; do chosen+=(-p "$name"); done
# They are built below, all with one lock file; cargo would build each by itself.
cargo package --quiet --offline --locked --no-verify --allow-dirty "${chosen[@]}" ||
  cargo package --quiet --locked --no-verify --allow-dirty "${chosen[@]}"

rm -rf "$MADE/unpacked"
mkdir -p "$MADE/unpacked"
for name in "${PACKAGES[@]}"; do
  # As of now: the archives give all files one time of long ago, and cargo goes by that.
  tar --touch -xzf "$MADE/$name-$version.crate" -C "$MADE/unpacked"
  folder=$MADE/unpacked/$name-$version
  for file in README.md LICENSE-MIT LICENSE-APACHE; do
    [[ -s $folder/$file && ! -L $folder/$file ]] || fail "$name: no $file"
  done
  grep -q 'Apache License' "$folder/LICENSE-APACHE" || fail "$name: LICENSE-APACHE is not the licence"
  for field in description license repository homepage documentation readme keywords categories rust-version; do
    grep -q "^$field = " "$folder/Cargo.toml" || fail "$name: the manifest has no $field"
  done
  grep -q '^all-features = true' "$folder/Cargo.toml" || fail "$name: docs.rs is not told to show all features"
  # Nothing of the tests, and nothing that nobody needs.
  if (cd "$folder" && find . -type f | grep -vE '^\./(src/|README\.md|LICENSE-|METRICS\.md|Cargo\.(toml|toml\.orig|lock)|\.cargo_vcs_info\.json)'); then
    fail "$name: it has files that do not belong into it"
  fi
  printf '%s %s: %s files, %s KiB\n' "$name" "$version" \
    "$(find "$folder" -type f | wc -l)" "$(($(stat -c %s "$MADE/$name-$version.crate") / 1024))"
done

# An application on the packages alone, with every feature; and the program from its package.
rm -rf "$MADE/bare"
mkdir -p "$MADE/bare/src"
{
  printf '[package]\nname = "bare"\nversion = "0.0.0"\nedition = "2024"\n\n[workspace]\n\n[dependencies]\n'
  # With its default features, as `cargo add` has them: tests/book follows a page that begins so.
  printf 'actix-web = "4.18"\n'
  printf 'actix-web-sse = { version = "%s", features = ["actix-cors", "jwks", "rustls"] }\n' "$version"
  printf 'actix-web-sse-metrics = "%s"\n' "$version"
  printf 'actix-web-sse-redis = { version = "%s", features = ["rustls"] }\n' "$version"
  printf 'sse-probe = "%s"\n' "$version"
  printf '\n[patch.crates-io]\n'
  for name in "${PACKAGES[@]}"; do printf '%s = { path = "../unpacked/%s-%s" }\n' "$name" "$name" "$version"; done
  printf '\n[profile.dev]\ndebug = "line-tables-only"\n'
} >"$MADE/bare/Cargo.toml"
cat >"$MADE/bare/src/main.rs" <<'END'
use actix_web_sse::{Hub, Policy};
use actix_web_sse_metrics::Metrics;
use actix_web_sse_redis::RedisConfig;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = Metrics::new()?;
    let hub = Hub::builder().observer(metrics.observer()).build()?;
    let policy = Policy::builder().observer(metrics.observer()).build()?;
    let target = sse_probe::Target::new("http://localhost:8080/events")?;
    let redis = RedisConfig::at("redis://127.0.0.1:6379");
    println!("{hub:?} {policy:?} {redis:?} {target:?}");
    Ok(())
}
END
cp Cargo.lock "$MADE/bare/Cargo.lock"
# Built beside the workspace, so that what both use is not built twice.
build() { cargo build --quiet "$@" --manifest-path "$MADE/bare/Cargo.toml" --target-dir target; }
build --offline 2>/dev/null || build
target/debug/bare >/dev/null
echo 'an application on the packages alone builds and runs'

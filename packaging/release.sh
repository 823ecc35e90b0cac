#!/usr/bin/env bash
# Releases the crates and the npm package: packaging/release.sh VERSION [--publish]
#
# Without --publish it only says what it would do, and what is in the way. It needs a clean tree with the
# version in Cargo.toml and clients/package.json, a section for it in CHANGELOG.md, the real address of the
# repository in place of OWNER/REPOSITORY, and a green tests/run. It publishes the crates in the order of
# their dependencies, then the npm package, then tags the commit and pushes the tag.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly CRATES=(actix-web-sse actix-web-sse-metrics actix-web-sse-redis sse-probe)
version=${1:-}
publish=${2:-}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ && ($publish == '' || $publish == --publish) ]] || {
  sed -n '2,3p' "$0" >&2
  exit 2
}

obstacles=()
object() { obstacles+=("$*"); }

[[ -z $(git status --porcelain) ]] || object 'the tree is not clean'
[[ -z $(git tag --list "v$version") ]] || object "the tag v$version is there already"
in_manifest=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
[[ $in_manifest == "$version" ]] || object "Cargo.toml has the version $in_manifest"
grep -q "\"version\": \"$version\"" clients/package.json || object "clients/package.json has another version"
grep -qE "^## \[$version\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$" CHANGELOG.md ||
  object "CHANGELOG.md has no section [$version] with a date"
# From here on, changes of the public interface are compared with what was released.
released=$(git tag --list 'v*' --sort=-v:refname | head -n 1)
if [[ -n $released ]]; then
  if command -v cargo-semver-checks >/dev/null; then
    cargo semver-checks --workspace --baseline-rev "$released" || object "semver-checks against $released"
  else
    object 'cargo-semver-checks is not installed: cargo install cargo-semver-checks --locked'
  fi
fi
placeholders=$(git grep -lF 'OWNER/REPOSITORY' -- ':!packaging/release.sh' ':!packaging/package.sh' ':!tests' || :)
[[ -z $placeholders ]] || object "OWNER/REPOSITORY stands in: ${placeholders//$'\n'/ }"

packaging/package.sh

steps=()
for crate in "${CRATES[@]}"; do steps+=("cargo publish --locked -p $crate"); done
steps+=('npm publish ./clients --access public' "git tag --annotate v$version --message v$version" "git push origin v$version")

if ((${#obstacles[@]} > 0)); then
  echo 'in the way of the release:'
  printf -- '- %s\n' "${obstacles[@]}"
fi
if [[ $publish != --publish ]]; then
  echo 'a dry run; with --publish this would run:'
  printf -- '  %s\n' "${steps[@]}"
  exit 0
fi
((${#obstacles[@]} == 0)) || exit 1
for step in "${steps[@]}"; do
  echo "$step"
  bash -c "$step"
done

#!/usr/bin/env bash
# Runs the check, or the comparison, of a workflow. Everything comes from the environment, so nothing is interpreted.
set -euo pipefail
options=(--format github --profile "${PROFILE:-browser}")
[[ -z ${ORIGIN:-} ]] || options+=(--origin "$ORIGIN")
[[ -z ${POLICY:-} ]] || options+=(--policy "$POLICY")
# Further arguments are words without quotes of their own.
read -ra more <<<"${ARGUMENTS:-}"
if [[ -n ${DIRECT:-} ]]; then
  read -ra between <<<"${DIFF_ARGUMENTS:-}"
  sse-probe diff "$DIRECT" "${URL:?}" "${options[@]}" "${more[@]}" "${between[@]}"
fi
sse-probe check "${URL:?}" "${options[@]}" "${more[@]}" --quiet

#!/usr/bin/env bash
# What action.yml runs: builds both revisions, gates, and maps the exit code to what the job does.
# Everything comes in variables, named as the action's inputs; it can be run by hand in a repository:
#
#   BASE=main BUILD='cargo build --release' COMMAND='./target/release/server --port {port}' .github/gate.sh
set -euo pipefail
# shellcheck source=.github/no_verdict.sh
source "$(dirname "$0")/no_verdict.sh"

: "${BASE:?name the revision to compare with (input base)}"
: "${COMMAND:?say how the server is started, with {port\} in it (input command)}"
base_dir="${BASE_DIR:-$(mktemp -d)/base}"
out="${OUT:-results/gate}"
on_inconclusive="${ON_INCONCLUSIVE:-warn}"

conclude() { # VERDICT CODE
  if [ -n "${GITHUB_OUTPUT:-}" ]; then echo "verdict=$1" >> "$GITHUB_OUTPUT"; fi
  exit "$2"
}

broken() { # CODE MESSAGE
  no_verdict error "$2"
  conclude error "$1"
}

case "$on_inconclusive" in
  warn | fail) ;;
  *) broken 64 "on-inconclusive is warn or fail, not '$on_inconclusive'" ;;
esac
case "$BASE" in
  -*) broken 64 "$BASE is no revision" ;;
esac

# A checkout of a pull request is shallow: the base may have to be fetched.
git cat-file -e "$BASE^{commit}" 2> /dev/null || git fetch --quiet --depth=1 origin "$BASE" || true
commit=$(git rev-parse --verify --quiet "$BASE^{commit}" || git rev-parse --verify --quiet FETCH_HEAD) ||
  broken 64 "there is no revision $BASE"
git worktree add --quiet --force --detach "$base_dir" "$commit" || broken 3 "the base cannot be checked out"
trap 'git worktree remove --force "$base_dir" || true' EXIT

if [ -n "${BUILD:-}" ]; then
  (cd "$base_dir" && bash -euo pipefail -c "$BUILD") || broken 3 "the base does not build"
  bash -euo pipefail -c "$BUILD" || broken 3 "the candidate does not build"
fi

# Each is started in its own directory.
in_dir() { printf 'env -C %q %s' "$1" "$2"; }
options=(
  --base "$(in_dir "$base_dir" "${BASE_COMMAND:-$COMMAND}")"
  --candidate "$(in_dir "$PWD" "$COMMAND")"
  --transport "${TRANSPORT:-webhook}"
  --match "${MATCH:-id}"
  --scenario "${SCENARIO:-gate}"
  --at-most "${AT_MOST:-5m}"
  --out "$out"
  --format github
)
if [ -n "${EVENT_PATH:-}" ]; then options+=(--path "$EVENT_PATH"); fi
if [ -n "${JUDGE:-}" ]; then options+=(--judge "$JUDGE"); fi
if [ -n "${ARGS:-}" ]; then
  # Words and quotes as a shell has them; nothing is expanded or run.
  mapfile -t more < <(xargs -n 1 printf '%s\n' <<< "$ARGS")
  options+=("${more[@]}")
fi

# An earlier gate's page says nothing of this one.
if [ -e "$out" ]; then before=yes; else before=; fi
code=0
"${PUSHBENCH:-pushbench}" gate "${options[@]}" || code=$?
case "$code" in
  0) conclude passed 0 ;;
  1) conclude failed 1 ;;
  2) if [ "$on_inconclusive" = fail ]; then conclude inconclusive 2; else conclude inconclusive 0; fi ;;
  130)
    if [ -n "$before" ] || ! [ -f "$out/report.md" ]; then
      no_verdict warning "interrupted before it began to measure: run it again"
    fi
    conclude interrupted 130 ;;
  # A gate that was begun has said why it ended, in the log, in the summary and on its page.
  *) if [ -z "$before" ] && [ -f "$out/report.md" ]; then conclude error "$code"; fi
    broken "$code" "pushbench ended with code $code; see the log of this step" ;;
esac

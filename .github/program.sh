#!/usr/bin/env bash
# The pushbench that action.yml runs: an installed one, a released one with its checksum, or a build of this checkout.
# Everything comes in variables, named as the action's inputs:
#
#   BINARY=https://…/pushbench-….tar.gz SHA256=… TEMP=/tmp/pushbench .github/program.sh find
#   TEMP=/tmp/pushbench .github/program.sh build       # where find has written no path=, but a key= for a cache
#
# The outputs go to GITHUB_OUTPUT: path= of the program, or key= of the build that is needed.
set -euo pipefail
# shellcheck source=.github/no_verdict.sh
source "$(dirname "$0")/no_verdict.sh"

temp=${TEMP:?name a directory for the program}
built=$temp/built/bin/pushbench
checkout=$(cd "$(dirname "$0")/.." && pwd)

broken() { # CODE MESSAGE
  no_verdict error "$2"
  exit "$1"
}

output() { if [ -n "${GITHUB_OUTPUT:-}" ]; then echo "$1" >> "$GITHUB_OUTPUT"; fi; }

use() { # PROGRAM WHERE-IT-COMES-FROM WHAT-TO-DO-IF-IT-DOES-NOT-START
  local version
  version=$("$1" --version) || broken 3 "$1, $2, does not start on $(uname -sm): $3"
  echo "$version: $2"
  if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then printf 'Measured with %s: %s.\n\n' "$version" "$2" >> "$GITHUB_STEP_SUMMARY"; fi
  output "path=$1"
}

# What BINARY names is on this machine, is the file with that checksum, and is a program or a tarball of one.
released() {
  local file=$BINARY found program
  if [[ $BINARY == http://* || $BINARY == https://* ]]; then
    [ -n "${SHA256:-}" ] ||
      broken 64 "binary is an address, and sha256 is missing: give the checksum that SHA256SUMS of the release states"
    file=$temp/downloaded
    curl --fail --silent --show-error --location --retry 2 --max-time 120 --output "$file" "$BINARY" ||
      broken 3 "$BINARY cannot be downloaded; see the log of this step"
  fi
  [ -f "$file" ] || broken 64 "binary is $BINARY, and there is no such file: give a path, or an address that begins with https://"
  found=$(sha256sum "$file" | cut -d ' ' -f 1)
  if [ -n "${SHA256:-}" ] && [ "$found" != "${SHA256,,}" ]; then
    broken 64 "$BINARY is not the file that sha256 pins: its SHA-256 is $found, not $SHA256"
  fi
  program=$temp/released/pushbench
  # A tarball begins with the number of gzip, a program with that of ELF, or it is a script.
  case $(head -c 4 "$file" | od -An -tx1 | tr -d ' \n') in
    1f8b*)
      tar -tzf "$file" > /dev/null 2>&1 || broken 64 "$BINARY is a damaged tarball: download it again" ;;
    7f454c46 | 2321*) ;;
    *) broken 64 "$BINARY is neither a tarball nor a program: give the tarball of a release, or the program itself" ;;
  esac
  if tar -tzf "$file" > /dev/null 2>&1; then
    tar -xzf "$file" -C "$temp/released" --strip-components=2 --wildcards '*/bin/pushbench' ||
      broken 64 "$BINARY has no bin/pushbench: give the tarball of a release, or the program itself"
  else
    install -m 755 "$file" "$program"
  fi
  use "$program" "the released binary $BINARY, SHA-256 $found" \
    "a release is for Linux on x86-64 with glibc 2.17 or newer; leave out the input binary to build pushbench here"
}

find_program() {
  if [ -n "${SHA256:-}" ] && ! [[ $SHA256 =~ ^[0-9a-fA-F]{64}$ ]]; then
    broken 64 "sha256 has 64 hexadecimal digits, and '$SHA256' is something else"
  fi
  if [ -n "${PUSHBENCH:-}" ]; then
    [ -z "${BINARY:-}${SHA256:-}" ] || broken 64 "pushbench is an installed program, which needs no binary or sha256: give one of them"
    use "$PUSHBENCH" "the installed $PUSHBENCH" "correct the input pushbench, or leave it out to build pushbench here"
  elif [ -n "${BINARY:-}" ]; then
    released
  else
    [ -z "${SHA256:-}" ] || broken 64 "sha256 is the checksum of the input binary, which is missing"
    needs_build
  fi
}

# A build depends on the compiler, the machine and what is compiled.
needs_build() {
  local rustc sources
  rustc=$(rustc --version --verbose) || broken 3 "pushbench is built with cargo, which is missing: install Rust, or give the input binary"
  sources=$(cd "$checkout" && find . \( -name .git -o -path ./target -o -path ./results -o -path ./docs \) -prune -o -type f -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum)
  output "key=pushbench-${RUNNER_OS:-$(uname -s)}-${RUNNER_ARCH:-$(uname -m)}-$(sha256sum <<< "$rustc$sources" | cut -c 1-40)"
}

build() {
  if [ "${CACHE_HIT:-}" = true ] && [ -x "$built" ]; then
    use "$built" "built from the action's checkout by an earlier job, from the cache" "delete this cache of the repository"
  else
    cargo install --quiet --locked --path "$checkout" --root "$temp/built" || broken 3 "pushbench does not build; see the log of this step"
    use "$built" "built from the action's checkout by this job" "see the log of this step"
  fi
}

mkdir -p "$temp/released"
case "${1:-}" in
  find) find_program ;;
  build) build ;;
  *) broken 64 ".github/program.sh find or build" ;;
esac

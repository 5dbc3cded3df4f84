#!/bin/sh
# install.sh [--prefix DIR] TARBALL: checks a release of pushbench and this machine, and copies the program, its manual
# pages and its completions to DIR/bin and DIR/share. DIR is ~/.local if not given. SHA256SUMS lies beside the tarball.
set -eu
refuse() { echo "install.sh: $1" >&2; exit "${2:-64}"; }
usage="sh install.sh [--prefix DIR] pushbench-VERSION-x86_64-unknown-linux-gnu.tar.gz"
prefix=
tarball=
while [ $# != 0 ]; do
  case $1 in
    --prefix)
      [ $# -gt 1 ] && [ -n "$2" ] || refuse "--prefix needs a directory: $usage"
      prefix=$2
      shift 2 ;;
    -*) refuse "$1 is no option: $usage" ;;
    *)
      [ -z "$tarball" ] || refuse "one tarball is installed, not $tarball and $1: $usage"
      tarball=$1
      shift ;;
  esac
done
[ -n "$tarball" ] || refuse "name the tarball: $usage"
[ -n "$prefix" ] || prefix=${HOME:?"is not set: add --prefix DIR"}/.local

# The machine: without these the loader would say it, in words that nobody expects.
machine="$(uname -s) on $(uname -m)"
case $machine in
  "Linux on x86_64") ;;
  *) refuse "this build of pushbench is for Linux on x86_64, and this is $machine: build it with cargo install --path . in its repository" 3 ;;
esac
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || glibc=
case $glibc in
  "glibc "*) ;;
  *) refuse "this build of pushbench needs glibc 2.17 or newer, and this machine has another C library: build it with cargo install --path . in its repository" 3 ;;
esac
# 2.5 is older than 2.17.
minor=${glibc#glibc 2.}
minor=${minor%%.*}
case $glibc in
  "glibc 2."*) [ "$minor" -ge 17 ] || refuse "this build of pushbench needs glibc 2.17 or newer, and this machine has $glibc: build it with cargo install --path . in its repository" 3 ;;
esac

[ -f "$tarball" ] || refuse "$tarball is no file"
folder=$(dirname "$tarball")
file=$(basename "$tarball")
sums=$folder/SHA256SUMS
[ -f "$sums" ] || refuse "$sums is missing: put the SHA256SUMS of the same release beside the tarball"
# A line is CHECKSUM, two spaces or a space and an asterisk, NAME; some programs end it with a carriage return.
wanted=$(tr -d '\r' <"$sums" | awk -v name="$file" '{ sum = $1; sub(/^[0-9a-f]+ [ *]/, ""); if ($0 == name && length(sum) == 64) print sum }')
[ -n "$wanted" ] || refuse "$sums does not name $file: take both from one release, and give the file the name that it has there"
found=$(sha256sum "$tarball" | cut -d ' ' -f 1)
[ "$found" = "$wanted" ] || refuse "$tarball is not the file of the release: its SHA-256 is $found, and $sums says $wanted; download it again"

mkdir -p "$prefix"
# Owner and mode are those of a file that the user made, and directories that are there stay what they are.
tar -xzf "$tarball" -C "$prefix" --strip-components=1 --no-same-owner --no-overwrite-dir --keep-directory-symlink
version=$("$prefix/bin/pushbench" --version) ||
  refuse "$prefix/bin/pushbench does not start: see above; a file system that is mounted noexec needs another --prefix" 3
echo "$version is in $prefix/bin"
case :$PATH: in
  *":$prefix/bin:"*) ;;
  *) echo "$prefix/bin is not in PATH: add it, or run $prefix/bin/pushbench" ;;
esac

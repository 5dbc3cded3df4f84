# Squid does not run as root and changes to the user proxy, which a user namespace may not have, and its shared memory
# has a name that two of them cannot have at once. Where it can, it runs as that user in a namespace of its own, with
# a /dev/shm that vanishes with it.
set -- squid -N -d 1 -n "$(printf %s "$1" | tail -c 32)" -f "$1/squid.conf"
private='mount -t tmpfs shm /dev/shm && exec unshare --user --map-user=13 --map-group=13 "$@"'
if unshare --user --map-root-user --mount sh -c "$private" sh true 2>&-; then
  exec unshare --user --map-root-user --mount sh -c "$private" sh "$@"
fi
exec "$@"

# Squid does not run as root and changes to the user proxy. In a user namespace that has no other user it cannot:
# there it runs in one more namespace, in which it is that user.
set -- squid -N -d 1 -f "$1/squid.conf"
if unshare --user --map-user=13 --map-group=13 true 2>&-; then
  exec unshare --user --map-user=13 --map-group=13 "$@"
fi
exec "$@"

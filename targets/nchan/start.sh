# Starts nginx on the port $1. nginx reads no environment variables: the port and the token of the run reach it in
# a file without a name, so that the token stays in no folder and no list of processes.
umask 077
file=$(mktemp)
exec 3<>"$file"
rm "$file"
printf 'listen 127.0.0.1:%s backlog=4096;\nset $authorization "Bearer %s";\n' "$1" "$PUSHBENCH_TOKEN" >&3
exec nginx -p . -c nginx.conf -g "pid nginx.$1.pid;"

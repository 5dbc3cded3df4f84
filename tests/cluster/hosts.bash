# shellcheck shell=bash disable=SC2154 # the sourcing script sets what is listed below
# Hosts made of namespaces: the part that `slurm` and `ssh` share.
#
# The hub is a process in a network, a PID, a mount and a UTS namespace of its
# own, with a bridge. Every node is one more set of such namespaces inside it,
# joined to the bridge by a veth pair:
#
#   hub (10.77.0.254) ── bridge ─┬─ node 0 (10.77.0.1)
#                                ├─ node 1 (10.77.0.2)
#                                └─ …
#
# The caller's network has no part in it: clusters can use the same addresses
# and ports at the same time, and no packet can leave by the caller's default
# route. The hub is the first process of its PID namespace: when it ends, the
# kernel kills every other process there and removes the interfaces and mounts.
#
# The script that sources this file sets:
#   program        its own name, for messages
#   self           its own path
#   made           array: the names that it creates in the directory
#   check          function: fails with `skip` where a command is missing
#   configure      function: writes configuration and keys (in the caller)
#   hub_services   function: starts what the nodes need (in the hub)
#   node_services  function NAME: starts what runs on a node (in the node)
#   wait_for_nodes function: returns when the nodes' services listen (in the hub)
#   is_ready       function: true when the cluster can be used (in the caller)
#   logs           function: prints the logs worth reading after a failure

readonly deadline=60 # seconds until `up` gives up waiting
readonly hub_address=10.77.0.254
node_address() { printf '10.77.0.%d' $(($1 + 1)); }

say() { printf '%s: %s\n' "$program" "$1" >&2; }
die() { say "$1"; exit "${2:-1}"; }
skip() { die "skipped: $1" 77; }

# need COMMAND PACKAGE
need() {
  command -v "$1" >/dev/null || skip "$1 is not installed (Debian package $2)."
}

# read_stat PID: sets stat_pid, stat_state, stat_parent and stat_start. It runs
# in this process, so that PID may be `self`.
read_stat() {
  local stat='' fields
  { IFS='' read -r -d '' stat <"/proc/$1/stat" || true; } 2>/dev/null
  [[ $stat ]] || return 1
  read -ra fields <<<"${stat##*) }" # a command's name may hold spaces
  stat_pid=${stat%% *} stat_state=${fields[0]} stat_parent=${fields[1]} stat_start=${fields[19]}
}

# lives PID START: the start time tells a process from a later one with the
# same number. A zombie has ended: some machines reap it only seconds later.
lives() { read_stat "$1" && [[ $stat_start == "$2" && $stat_state != [ZX] ]]; }

# wait_for_port ADDRESS PORT
wait_for_port() {
  until (: <>"/dev/tcp/$1/$2") 2>/dev/null; do sleep 0.01; done
}

# kill_and_wait PID START
kill_and_wait() {
  lives "$1" "$2" || return 0
  kill -KILL "$1" 2>/dev/null || ! lives "$1" "$2" ||
    die "cannot end process $1: does the cluster belong to another user?"
  while lives "$1" "$2"; do sleep 0.01; done
}

# open_directory DIR: sets dir, an absolute path without symbolic links.
open_directory() {
  dir=$(realpath -m -- "$1")
  # The programs' configuration files have no common way to quote a name.
  [[ $dir =~ ^[A-Za-z0-9/._+-]+$ ]] ||
    die "the path $dir has a character other than letters, digits and / . _ + -" 64
}

# Without root, a user namespace gives the rights to make the others. Programs
# that drop privileges as root cannot do so with the single user that is
# mapped there, so they run in one more user namespace, as the caller.
set_privileges() {
  new_user=() enter_user=() as_caller=()
  if [[ $1 == user ]]; then
    new_user=(--user --map-root-user)
    enter_user=(--user --preserve-credentials)
    as_caller=(unshare --user "--map-user=$2" "--map-group=$3")
  fi
}

# load: reads what `up` recorded about the cluster.
load() {
  local privileges uid gid
  read -r privileges uid gid node_count <"$dir/cluster"
  set_privileges "$privileges" "$uid" "$gid"
}

# load_hub: sets hub and hub_start; fails where the hub has ended.
load_hub() {
  [[ -s $dir/hub ]] || return 1
  read -r hub hub_start _ <"$dir/hub"
  lives "$hub" "$hub_start"
}

check_namespaces() {
  local command
  for command in unshare nsenter setsid mount; do need "$command" util-linux; done
  need ip iproute2
  need hostname hostname
  privileges=root
  ((EUID == 0)) || privileges=user
  set_privileges "$privileges" "$EUID" "$(id -g)"
  # shellcheck disable=SC2016
  unshare "${new_user[@]}" --net --mount --pid --uts --fork sh -c '
    mount -t proc proc /proc && hostname probe && ip link add probe0 type bridge &&
    ip link add probe1 type veth peer name probe2' >/dev/null 2>&1 ||
    skip "this user cannot create the namespaces, the bridge and the veth pairs that it needs."
}

remove_files() {
  local name record
  readarray -t record <"$dir/cluster"
  for name in "${made[@]}" hub hub.new hub.log failed started alive hosts nodes; do
    rm -rf -- "${dir:?}/$name"
  done
  # The record goes last: `down` does not touch a directory without it.
  rm -f -- "$dir/cluster"
  if [[ ${record[1]} == created ]]; then rmdir --ignore-fail-on-non-empty -- "$dir"; fi
}

# sees_hosts PID: true for a process on the hub or on a node. Only there is
# /etc/hosts the cluster's file, also after the hub has ended.
sees_hosts() { [[ /proc/$1/root/etc/hosts -ef $dir/hosts ]]; }

# stop: ends every process of the cluster, then removes its files.
stop() {
  local init init_start parent parent_start process found=true
  ! sees_hosts self || die "this process is part of the cluster that it would end."
  if [[ -s $dir/hub ]]; then
    read -r init init_start parent parent_start <"$dir/hub"
    kill_and_wait "$init" "$init_start"
    # It waits for the hub and then ends by itself.
    while lives "$parent" "$parent_start"; do sleep 0.01; done
  fi
  # What is left was started with `exec` or `run`.
  while $found; do
    found=false
    for process in /proc/[0-9]*; do
      process=${process##*/}
      if sees_hosts "$process" && read_stat "$process"; then
        found=true
        kill_and_wait "$process" "$stat_start"
      fi
    done
  done
  remove_files
}

# undo: what `up` does when it fails or is interrupted.
undo() {
  local status=$? starter=${!:-} record=()
  trap '' INT TERM HUP
  trap - EXIT
  rm -f -- "$dir/cluster.$$"
  if [[ -e $dir/cluster ]]; then readarray -t record <"$dir/cluster"; fi
  if [[ ${record[2]:-} == "$$" ]]; then
    # The hub writes its record first, so this wait is short.
    while [[ -n $starter && ! -s $dir/hub ]] && kill -0 "$starter" 2>/dev/null; do
      sleep 0.01
    done
    stop
  elif [[ $created == created && -d $dir ]]; then
    rmdir --ignore-fail-on-non-empty -- "$dir"
  fi
  exit "$status"
}

# exit_on_signals: without it, Bash ignores an interrupt that arrives while a
# command runs that then ends normally.
exit_on_signals() {
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
}

# up NODES: dir is set, the directory may exist.
up() {
  node_count=$1
  check
  check_namespaces
  created=existed
  trap undo EXIT
  if [[ ! -d $dir ]]; then
    created=created # before it exists, for a signal that arrives meanwhile
    mkdir -- "$dir" || { created=existed && exit 1; }
  fi
  # The link fails where the directory holds a cluster already.
  printf '%s\n' "$privileges $EUID $(id -g) $node_count" "$created" "$$" >"$dir/cluster.$$"
  ln -- "$dir/cluster.$$" "$dir/cluster" 2>/dev/null ||
    die "$dir holds a cluster already; run '$program down $dir' first."
  rm -- "$dir/cluster.$$"

  mkdir -- "$dir/nodes"
  mkfifo -- "$dir/alive"
  local i
  {
    printf '127.0.0.1 localhost\n%s %s\n' "$hub_address" hub
    for ((i = 0; i < node_count; i++)); do
      printf '%s %s\n' "$(node_address "$i")" "$node_prefix$i"
      mkdir -- "$dir/nodes/$node_prefix$i"
    done
  } >"$dir/hosts"
  configure

  # The hub ends when this pipe is closed before `keep` was written: an `up` that
  # is killed leaves no process behind.
  local alive
  exec {alive}<>"$dir/alive"
  setsid unshare "${new_user[@]}" --net --mount --pid --uts --fork --kill-child \
    "$BASH" "$self" _hub "$dir" <"$dir/alive" >"$dir/hub.log" 2>&1 {alive}>&- &
  local starter=$!
  # What `is_ready` starts may outlive `up`, so it must not hold the pipe.
  until [[ -e $dir/started ]] && (exec {alive}>&-; is_ready); do
    if [[ -e $dir/failed ]] || ! kill -0 "$starter" 2>/dev/null; then
      show_failure "the cluster did not start: $(head -n 1 "$dir/failed" 2>/dev/null)"
    fi
    ((SECONDS < deadline)) || show_failure "the cluster was not ready within $deadline s."
    sleep 0.02
  done
  echo keep >&"$alive"
  trap - EXIT INT TERM HUP
}

show_failure() {
  say "$1"
  { cat -- "$dir/hub.log"; logs; } >&2 2>/dev/null || true
  exit 1
}

# supervise NAME COMMAND…: runs a service; its end is an error until `up` has
# returned, and has no effect later.
supervise() {
  local name=$1
  shift
  (
    "$@" && status=0 || status=$?
    printf '%s ended with status %d.\n' "$name" "$status" >>"$dir/failed"
  ) &
}

# A lock or a pipe of the caller must not stay open for as long as the cluster
# runs. Bash reads its script through descriptor 255.
close_inherited() {
  local path fd
  for path in /proc/self/fd/*; do
    fd=${path##*/}
    if ((fd > 2 && fd != 255)); then eval "exec $fd>&-"; fi
  done
}

# hub_main: the hub's first process.
hub_main() {
  local answer
  close_inherited
  # /proc still shows the caller's numbers here. The parent waits for this
  # process and ends with it.
  read_stat self
  local pid=$stat_pid start=$stat_start
  read_stat "$stat_parent"
  printf '%s %s %s %s\n' "$pid" "$start" "$stat_pid" "$stat_start" >"$dir/hub.new"
  mv -- "$dir/hub.new" "$dir/hub"

  set_up_hub &
  # End of file: `up` was killed. This process ends, and all others with it,
  # whatever the set-up is doing.
  read -r answer || return 1
  [[ $answer == keep ]] || return 1
  # With the pipe open for writing here, this read only waits. Removing the
  # directory without `down` ends the cluster too.
  exec 3<>"$dir/alive"
  while [[ -e $dir/cluster ]]; do read -r -t 2 -u 3 answer || true; done
}

# set_up_hub: the network and everything that runs on it.
set_up_hub() {
  local i name pid in_node
  trap 'echo "the hub failed in line $LINENO." >>"$dir/failed"' ERR
  set -E
  mount -t proc proc /proc
  hostname hub
  mount --bind "$dir/hosts" /etc/hosts
  ip link set lo up
  ip link add bridge0 type bridge forward_delay 0
  ip address add "$hub_address/24" dev bridge0
  ip link set bridge0 up
  for ((i = 0; i < node_count; i++)); do
    name=$node_prefix$i
    mkfifo -- "$dir/nodes/$name/pid" "$dir/nodes/$name/start"
    supervise "$name" unshare --net --mount --pid --uts --fork --kill-child \
      "$BASH" "$self" _node "$dir" "$name" </dev/null >"$dir/nodes/$name/node.log" 2>&1
    read -r pid <"$dir/nodes/$name/pid"
    ip link add "to-$name" type veth peer name eth0 netns "$pid"
    ip link set "to-$name" master bridge0 up
    in_node=(nsenter --target "$pid" --net)
    "${in_node[@]}" ip link set lo up
    "${in_node[@]}" ip address add "$(node_address "$i")/24" dev eth0
    "${in_node[@]}" ip link set eth0 up
  done
  # A packet that is lost at a port that does not forward yet costs a second.
  until (($(ip -details link show master bridge0 | grep -c 'state forwarding') == node_count)); do
    sleep 0.01
  done
  hub_services
  for ((i = 0; i < node_count; i++)); do echo yes >"$dir/nodes/$node_prefix$i/start"; done
  wait_for_nodes
  : >"$dir/started"
}

# node_main NAME: a node's first process.
node_main() {
  local answer
  read_stat self # /proc still shows the hub's numbers
  echo "$stat_pid" >"$dir/nodes/$1/pid"
  mount -t proc proc /proc
  hostname "$1"
  read -r answer <"$dir/nodes/$1/start"
  [[ $answer == yes ]]
  node_services "$1"
  # As on a real host, tasks continue when the service ends. Nothing more is
  # written to this pipe: the node ends with the hub.
  exec 3<>"$dir/nodes/$1/start"
  while true; do read -r -u 3 answer || true; done
}

# enter COMMAND…: becomes the command, on the hub's network, with the nodes'
# names in /etc/hosts. The process number stays, so signals reach the command.
enter() {
  if sees_hosts self; then exec "$@"; fi
  load_hub || die "no cluster runs in $dir."
  exec nsenter --target "$hub" --net --uts "${enter_user[@]}" -- \
    unshare --mount -- "$BASH" "$self" _enter "$dir" "$@"
}

# enter_main COMMAND…: the part of `enter` that runs inside.
enter_main() {
  mount --bind "$dir/hosts" /etc/hosts
  exec "${as_caller[@]}" "$@"
}

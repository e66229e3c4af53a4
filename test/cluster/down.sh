#!/usr/bin/env bash
# Ends what up.sh started: down.sh FOLDER [keep]. Its processes and mounts end with the first process of the namespace.
# Also after a start that failed half way, and twice. With `keep` the folder stays.
set -u
folder=$1
outer=$(cat "$folder/run/outer.pid" 2>/dev/null)
# A pid may have been given to somebody else since a crash.
if [ -n "$outer" ] && grep -qs node-init.sh "/proc/$outer/cmdline"; then
  kill -KILL "$outer"
  while [ -e "/proc/$outer" ]; do sleep 0.1; done
fi
rm -f "$folder/run/outer.pid" "$folder/run/ready"
for one in postroom-node postroom-client; do
  ip netns del $one 2>/dev/null
  ip link del $one 2>/dev/null
done
ip route del 10.232.0.0/16 2>/dev/null
ip link del postroom0 2>/dev/null
# The kernel ends the last processes of a namespace after its first one.
for _ in $(seq 50); do
  find /sys/fs/cgroup -depth -path '*/postroom-test*' -type d -exec rmdir {} + 2>/dev/null
  [ -z "$(find /sys/fs/cgroup -maxdepth 2 -name postroom-test 2>/dev/null)" ] && break
  sleep 0.1
done
[ -f "$folder/sysctls" ] && while read -r name value; do echo "$value" >"/proc/sys/$name"; done <"$folder/sysctls"
rm -f "$folder/sysctls"
[ "${2:-}" = keep ] || rm -rf "$folder"
true

#!/usr/bin/env bash
# Builds the Dockerfile as it stands, without a registry: image.sh NAME prints the path of a docker-archive of that name.
# Its base images are made here, from Debian packages and this project's own Node, and tagged as its FROM lines say.
# Kept by content below ~/.cache/postroom/image. Needs root, buildah, apt, npm. Says size and seconds on stderr.
set -euo pipefail
name=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/postroom/image
node=$root/node_modules/node/bin/node
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
cd "$root"
mapfile -t bases < <(awk '$1 == "FROM" { print $2 }' Dockerfile)
context=$(sed -n 's/^!//p' .dockerignore)
content=$({
  sha256sum test/cluster/image.sh Dockerfile .dockerignore
  # shellcheck disable=SC2086
  find $context -type f ! -name '*.test.ts' -print0 | sort -z | xargs -0 sha256sum
} | sha256sum | cut -c1-16)
archive=$cache/$content.tar

bud() { buildah --storage-driver overlay --root "$cache/storage" --runroot "$cache/run" "$@"; }

# What the final base holds; libraries only. Then what the build's base has beside it.
RUN_PACKAGES="base-files netbase tzdata gcc-12-base libc6 libgcc-s1 libgomp1 libstdc++6 libssl3"
BUILD_PACKAGES="$RUN_PACKAGES dash coreutils findutils libacl1 libattr1 libgmp10 libselinux1 libpcre2-8-0 libatomic1"

rootfs() { # FOLDER PACKAGE...
  local into=$1
  shift
  mkdir -p "$cache/debs" "$into"/{etc/ssl/certs,tmp,root,home/nonroot,usr/{bin,sbin,lib,lib64}}
  for one in bin sbin lib lib64; do ln -sfn usr/$one "$into/$one"; done
  for package in "$@"; do
    ls "$cache/debs/${package}"_*.deb >/dev/null 2>&1 || (cd "$cache/debs" && apt-get download -q "$package" >/dev/null 2>&1)
    dpkg-deb --fsys-tarfile "$cache/debs/${package}"_*.deb | tar -x --keep-directory-symlink -C "$into" \
      --exclude './usr/share/doc' --exclude './usr/share/man' --exclude './usr/share/locale'
  done
  cp /etc/ssl/certs/ca-certificates.crt "$into/etc/ssl/certs/"
  printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$into/etc/passwd"
  printf 'root:x:0:\nnonroot:x:65532:\n' >"$into/etc/group"
  chmod 1777 "$into/tmp"
  chown 65532:65532 "$into/home/nonroot"
}

base() { # NAME FOLDER
  local container
  container=$(bud from scratch)
  bud copy -q "$container" "$2" / >/dev/null
  bud config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  bud commit -q "$container" "$1" >/dev/null
  bud rm "$container" >/dev/null
}

bases_exist() {
  for one in "${bases[@]}"; do bud inspect --type image "$one" >/dev/null 2>&1 || return 1; done
}

make_bases() {
  local work
  work=$(mktemp -d)
  # shellcheck disable=SC2086
  rootfs "$work/build" $BUILD_PACKAGES
  ln -sf dash "$work/build/bin/sh"
  mkdir -p "$work/build/usr/local/bin" "$work/build/usr/local/lib/node_modules"
  cp "$node" "$work/build/usr/local/bin/node"
  cp -r "$(npm root -g 2>/dev/null)/npm" "$work/build/usr/local/lib/node_modules/npm"
  ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$work/build/usr/local/bin/npm"
  # A machine's own authority, if it has one, is trusted in the build too.
  mkdir -p "$work/build/usr/local/etc"
  echo 'cafile=/etc/ssl/certs/ca-certificates.crt' >"$work/build/usr/local/etc/npmrc"
  # shellcheck disable=SC2086
  rootfs "$work/run" $RUN_PACKAGES
  base "${bases[0]}" "$work/build"
  base "${bases[1]}" "$work/run"
  rm -rf "$work"
}

unpacked_megabytes() {
  local container
  container=$(bud from --pull-never "$name")
  du -sm "$(bud mount "$container")" | cut -f1
  bud umount "$container" >/dev/null
  bud rm "$container" >/dev/null
}

if [ ! -f "$archive" ]; then
  begun=$SECONDS
  bases_exist || make_bases
  echo "test/cluster: base images after $((SECONDS - begun)) s" >&2
  settings=()
  [ -f ~/.npmrc ] && settings+=(--volume "$HOME/.npmrc:/root/.npmrc:ro")
  bud build --isolation chroot --pull=never --layers=false \
    --volume "$(npm config get cache 2>/dev/null):/root/.npm" "${settings[@]}" -t "$name" . >&2
  rm -f "$cache/.new.tar"
  bud push -q "$name" "docker-archive:$cache/.new.tar:$name" >&2
  unpacked_megabytes >"$archive.megabytes"
  mv "$cache/.new.tar" "$archive"
  bud rmi -f "$name" >/dev/null 2>&1 || true
  echo "test/cluster: image built in $((SECONDS - begun)) s" >&2
  # The last three.
  ls -t "$cache"/*.tar | tail -n +4 | while read -r old; do rm -f "$old" "$old.megabytes"; done
fi
echo "test/cluster: image of $(cat "$archive.megabytes") MB unpacked, $(($(stat -c %s "$archive") / 1000000)) MB as an archive" >&2
echo "$archive"

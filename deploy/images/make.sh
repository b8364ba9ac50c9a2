#!/usr/bin/env bash
# Images for deploy/compose.yml, the Dockerfile and docs/operating/containers.md where none can be pulled; see --help.
set -euo pipefail

usage() {
  cat <<'END'
deploy/images/make.sh [--suite SUITE] [--prefix NAME] [IMAGE...]

Makes stand-ins for the official images out of Debian's packages: mysql, node, redis, prometheus (all four, or those named).
They are called NAME/mysql and so on, and stand on NAME/debian, which is made first if it is not there.

  --suite SUITE   Debian's suite (sid: the one with MySQL and a current Node.js)
  --prefix NAME   what the images' names begin with (stockgate)

Needs root, debootstrap, npm, a Docker engine (DOCKER_HOST), and a mirror: STOCKGATE_DEBIAN_MIRROR, else deb.debian.org.
END
}

suite=sid
prefix=stockgate
images=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --help) usage; exit 0 ;;
    --suite) suite=${2:?--suite needs a value}; shift 2 ;;
    --prefix) prefix=${2:?--prefix needs a value}; shift 2 ;;
    mysql | node | redis | prometheus) images+=("$1"); shift ;;
    *) echo "make.sh does not know $1; see --help" >&2; exit 2 ;;
  esac
done
[[ ${#images[@]} -gt 0 ]] || images=(mysql node redis prometheus)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

docker version --format 'engine {{.Server.Version}}' || { echo 'there is no Docker engine to give images to' >&2; exit 1; }

if ! docker image inspect "$prefix/debian" >/dev/null 2>&1; then
  echo "fetching Debian $suite"
  debootstrap --variant=minbase "$suite" "$work/root" "${STOCKGATE_DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$work/log" ||
    { tail -n 20 "$work/log" "$work/root/debootstrap/debootstrap.log" >&2; exit 1; }
  # Whoever uses a mirror that stands still has told his own apt so, and the images' apt has to know it too.
  apt-config dump --format '%F "%v";%n' Acquire::Check-Valid-Until Acquire::Check-Date >"$work/root/etc/apt/apt.conf.d/90machine"
  # Likewise whom this machine was told to trust beyond everybody's list: what is built in the images goes out by the same way.
  mkdir -p "$work/root/usr/local/share/ca-certificates"
  find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$work/root/usr/local/share/ca-certificates" {} + 2>/dev/null || true
  rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/*
  tar -C "$work/root" --numeric-owner -c . | docker import - "$prefix/debian" >/dev/null
  rm -rf "$work/root"
fi

mkdir "$work/context"
cp "$here/Dockerfile" "$here/mysql-entrypoint.sh" "$work/context"
chmod 755 "$work/context/mysql-entrypoint.sh"
mkdir "$work/context/npm"
if [[ " ${images[*]} " == *' node '* ]]; then
  archive=$(cd "$work" && npm pack --silent npm)
  tar -C "$work/context/npm" --strip-components 1 -xf "$work/$archive"
fi
for image in "${images[@]}"; do
  echo "building $prefix/$image"
  docker build --quiet --build-arg "DEBIAN=$prefix/debian" --target "$image" --tag "$prefix/$image" "$work/context" >/dev/null
done
docker image ls --filter "reference=$prefix/*" --format '{{.Repository}}	{{.Size}}'

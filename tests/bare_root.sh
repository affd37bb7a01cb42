#!/usr/bin/env bash
# A machine that has what README asks for and nothing else, to run something in:
#
#   tests/bare_root.sh                     all that README's Develop section names, as root and as an ordinary user
#   tests/bare_root.sh USER 'COMMANDS'     these, as root or as `somebody`, in a clone of this checkout's last commit
#
# It is a fresh Debian made by debootstrap (kept as a tar file, remade when PACKAGES change), in a mount and a process
# namespace of its own. Of this machine it gets the way to the network (resolver, proxies, the certificates that are trusted
# here) and what this processor's arithmetic needs. It gets no configuration of pip or uv and no other variable, so that what
# this machine has besides cannot hide that an install step is missing. Needs root and debootstrap: make system-packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

SUITE=bookworm
PACKAGES=python3,python3-pip,python3-venv,make,git,ca-certificates
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt
checkout=$PWD
cache=${ENVDOCTOR_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/envdoctor-tests}/bare

fail() {
  echo "bare_root.sh: $*" >&2
  exit 1
}

system() { # the tar file of the bare system, made where it is not there
  local tar
  tar=$cache/$SUITE-$(echo "$SUITE $PACKAGES" | sha256sum | cut -c1-12).tar
  if [ ! -e "$tar" ]; then
    rm -rf --one-file-system "$cache/making"
    # It mounts this machine's /proc. One that is killed would leave that there, for whoever removes the folder next.
    unshare --mount --pid --fork --kill-child \
      debootstrap --variant=minbase "--include=$PACKAGES" "$SUITE" "$cache/making" >"$cache/debootstrap.log" 2>&1 ||
      fail "debootstrap failed: $(tail -n 5 "$cache/debootstrap.log")"
    rm -rf "$cache"/making/var/cache/apt/archives/*.deb
    tar -C "$cache/making" --numeric-owner -cf "$tar.unfinished" .
    rm -rf --one-file-system "$cache/making"
    mv "$tar.unfinished" "$tar"
  fi
  echo "$tar"
}

inside() { # USER COMMANDS: in a root of its own, which is removed afterwards
  local user=$1 commands=$2 root tar home kept code=0 name
  tar=$(system)
  root=$(mktemp -d "$cache/root-XXXXXX")
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf --one-file-system '$root'" EXIT
  tar -C "$root" -xf "$tar"
  if [ -e /etc/resolv.conf ]; then cp -L /etc/resolv.conf "$root/etc/resolv.conf"; fi
  echo "127.0.0.1 localhost" >"$root/etc/hosts"
  if [ -e "$CERTIFICATES" ]; then cp -L "$CERTIFICATES" "$root$CERTIFICATES"; fi
  chroot "$root" useradd --create-home --uid 1000 somebody
  home=$(chroot "$root" sh -c "echo ~$user")
  git clone --quiet --no-hardlinks "$checkout" "$root$home/envdoctor"
  # What pip and the tests keep, from one run to the next: their own keys tell old from new.
  kept=$cache/home-of-$user
  mkdir -p "$kept" "$root$home/.cache"
  chroot "$root" chown -R "$user:" "$home"
  chown "$(stat -c %u:%g "$root$home")" "$kept"

  local environment=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "HOME=$home" "USER=$user")
  if [ -e "$CERTIFICATES" ]; then # pip and uv bring certificates of their own
    environment+=("SSL_CERT_FILE=$CERTIFICATES" "REQUESTS_CA_BUNDLE=$CERTIFICATES" "PIP_CERT=$CERTIFICATES")
  fi
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY OPENBLAS_CORETYPE OPENBLAS_L2_SIZE \
    ENVDOCTOR_TEST_REQUIRE WORKERS; do
    if [ -n "${!name:-}" ]; then environment+=("$name=${!name}"); fi
  done
  # shellcheck disable=SC2016 # the inner shell's words
  unshare --mount --pid --fork --kill-child bash -c '
    root=$1 kept=$2 home=$3 user=$4 commands=$5
    shift 5
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    mount --bind "$kept" "$root$home/.cache"
    exec chroot --userspec="$user" "$root" env -i "$@" sh -c "cd ~/envdoctor && $commands" </dev/null
  ' bare "$root" "$kept" "$home" "$user" "$commands" "${environment[@]}" || code=$?
  rm -rf --one-file-system "$root"
  trap - EXIT
  return "$code"
}

[ "$(id -u)" = 0 ] || fail "makes a root file system, which needs root"
command -v debootstrap >/dev/null || fail "needs debootstrap: make system-packages"
mkdir -p "$cache"

if [ $# -gt 0 ]; then
  inside "$1" "${2:?the commands}"
else
  # What must not be skipped there. The group `system` cannot run where nothing but these packages is.
  export ENVDOCTOR_TEST_REQUIRE=torch
  inside root "make run && make test-fast"
  inside somebody "make run lint test"
fi

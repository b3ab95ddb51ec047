#!/bin/bash
# Makes sure that what the tests run for real is there. It installs from the distribution when it may, else it says
# what to install and fails: no test is ever skipped for want of a program.
set -u

# program that must exist | Debian package
needs=(
  "/usr/bin/redis-server redis-server"
  "/usr/sbin/mariadbd mariadb-server"
  "/usr/lib/python3/dist-packages/itsdangerous python3-itsdangerous"
  "/usr/lib/python3/dist-packages/yaml python3-yaml"
  "/usr/bin/prometheus prometheus"
  "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf fonts-droid-fallback"
  "/usr/bin/gcc gcc"
  "/usr/include/stdlib.h libc6-dev"
)

missing=()
for n in "${needs[@]}"; do
  read -r file package <<<"$n"
  [ -e "$file" ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root=(sudo -n); else as_root=(no); fi
fi
if [ "${as_root[0]:-}" != no ] && command -v apt-get >/dev/null; then
  echo "installing for the tests: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # policy-rc.d would be the way to keep services from starting; a server that runs besides does not disturb the tests.
  "${as_root[@]}" apt-get update -q >/dev/null && "${as_root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
fi

still=()
for n in "${needs[@]}"; do
  read -r file package <<<"$n"
  [ -e "$file" ] || still+=("$package")
done
if [ ${#still[@]} -gt 0 ]; then
  echo "The tests need these packages, and this script may not install them: ${still[*]}" >&2
  echo "Please run:  sudo apt-get install ${still[*]}" >&2
  exit 1
fi

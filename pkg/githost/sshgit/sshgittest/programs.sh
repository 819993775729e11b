#!/usr/bin/env bash
# Prints where sshd is. On Debian it is taken out of its package where it is not installed: nothing is installed for a test.
set -euo pipefail
for program in "$(command -v sshd || true)" /usr/sbin/sshd /usr/local/sbin/sshd; do
  [ ! -x "$program" ] || { echo "$program"; exit; }
done
dir=${XDG_CACHE_HOME:-$HOME/.cache}/sentry-openssh
if [ ! -x "$dir/usr/sbin/sshd" ]; then
  command -v apt-get >/dev/null || { echo "sshd of OpenSSH is missing: install openssh-server" >&2; exit 1; }
  mkdir -p "$dir"
  scratch=$(mktemp -d "$dir/new.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  (
    cd "$scratch"
    { apt-get download openssh-server || { apt-get update && apt-get download openssh-server; }; } >&2
    dpkg-deb -x openssh-server_*.deb .
  )
  # Whoever came first has put the same there.
  mv -T "$scratch/usr" "$dir/usr" 2>/dev/null || [ -x "$dir/usr/sbin/sshd" ]
fi
echo "$dir/usr/sbin/sshd"

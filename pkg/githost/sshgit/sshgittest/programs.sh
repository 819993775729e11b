#!/usr/bin/env bash
# Prints where sshd is. On Debian it is taken out of its package where it is not installed, with the libraries that are missing:
# nothing is installed for a test.
set -euo pipefail
for program in "$(command -v sshd || true)" /usr/sbin/sshd /usr/local/sbin/sshd; do
  [ ! -x "$program" ] || { echo "$program"; exit; }
done
dir=${XDG_CACHE_HOME:-$HOME/.cache}/sentry-sshd
if [ ! -x "$dir/sshd" ]; then
  command -v apt-get >/dev/null || { echo "sshd of OpenSSH is missing: install openssh-server" >&2; exit 1; }
  mkdir -p "$dir"
  scratch=$(mktemp -d "$dir/new.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  (
    cd "$scratch"
    { apt-get download openssh-server || { apt-get update && apt-get download openssh-server; }; } >&2
    dpkg-deb -x openssh-server_*.deb all
    for library in $(ldd all/usr/sbin/sshd | sed -n 's/^[[:space:]]*\([^ ]*\) => not found$/\1/p'); do
      package=${library%.so.*}${library##*.so.} # as Debian names it: libwrap0 has libwrap.so.0
      apt-get download "$package" >&2
      dpkg-deb -x "$package"_*.deb all
    done
    # Root's server wants a user of its own, whom it finds in a namespace of mounts, where root's shell reads no file that a person may
    # have filled: that would be most of what a session costs. It starts itself anew, and wants to be called by
    # its whole path for that.
    cat >all/sshd <<END
#!/bin/sh
set -eu
export LD_LIBRARY_PATH=$(find all -name '*.so.*' -printf "$dir/%P\n" | xargs -r -n 1 dirname | sort -u | paste -sd :)
if [ "\$(id -u)" != 0 ] || getent passwd sshd >/dev/null; then
  exec "$dir/usr/sbin/sshd" "\$@"
fi
{ sed 's|^\(root:.*:\)[^:]*\$|\1/bin/sh|' /etc/passwd; echo sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin; } >"$dir/passwd.\$\$"
mv "$dir/passwd.\$\$" "$dir/passwd"
exec unshare --mount sh -euc 'mount --bind "\$0" /etc/passwd; exec "\$@"' "$dir/passwd" "$dir/usr/sbin/sshd" "\$@"
END
    chmod +x all/sshd
  )
  # Whoever came first has put the same there.
  mv -T "$scratch/all/usr" "$dir/usr" 2>/dev/null || [ -x "$dir/usr/sbin/sshd" ]
  mv -T "$scratch/all/lib" "$dir/lib" 2>/dev/null || true
  mv -T "$scratch/all/sshd" "$dir/sshd"
fi
echo "$dir/sshd"

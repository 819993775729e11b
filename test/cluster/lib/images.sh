# shellcheck shell=bash
# The images, made of files without a container engine. They are kept in $cache/images and made again only when
# one of their files changed.

image_prefix=localhost/sentry-test

# image NAME [flag…] -- SRC[:DEST]…: makes $cache/images/NAME.tar.
image() {
  local name=$1 archive=$cache/images/$1.tar flags=() sum
  shift
  while [ "$1" != -- ]; do flags+=("$1"); shift; done
  shift
  # Sizes and times tell whether a file changed; reading 600 MB to know it would take longer than all the rest.
  sum=$(
    printf '%s\n' "${flags[@]}" "$@"
    find -L "${@%%:*}" "$bin/mkimage" -type f -printf '%p %s %T@\n' | sort
  )
  if [ ! -e "$archive" ] || [ "$(cat "$archive.made-of" 2>/dev/null)" != "$sum" ]; then
    say "image $name"
    "$bin/mkimage" -tag "$image_prefix/$name:dev" -o "$archive.new" "${flags[@]}" "$@"
    mv "$archive.new" "$archive"
    printf '%s\n' "$sum" >"$archive.made-of"
  fi
}

# go_program MODULE PACKAGE NAME: builds it, and leaves a program that did not change as old as it is.
go_program() {
  (cd "$1" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$bin/$3.new" "$2")
  if cmp -s "$bin/$3.new" "$bin/$3"; then
    rm "$bin/$3.new"
  else
    mv "$bin/$3.new" "$bin/$3"
  fi
}

tekton_programs="controller webhook events entrypoint nop workingdirinit sidecarlogresults"

make_images() {
  local path=PATH=/usr/local/bin:/usr/bin:/bin program
  mkdir -p "$cache/images"
  image pause -entrypoint /pause -- "$bin/pause:/pause"
  for program in $tekton_programs; do
    image "tekton-$program" -entrypoint "/ko-app/$program" -- "$bin/tekton-$program:/ko-app/$program"
  done
  make_busybox_files
  make_git_files
  image busybox -env "$path" -- "$cache/files/busybox:/"
  image git -env "$path" -- "$cache/files/busybox:/" "$cache/files/git:/"
  image deploy -env "$path" -- "$cache/files/busybox:/" "$cache/files/git:/" "$bin/kubernetes-kubectl:/usr/bin/kubectl"
}

# files NAME SOURCE: is $cache/files/NAME to be made again, since SOURCE is newer? Empties it when so.
files() {
  local to=$cache/files/$1
  if [ -e "$to.made" ] && [ "$to.made" -nt "$2" ] && [ "$to.made" -nt "$here/lib/images.sh" ]; then
    return 1
  fi
  rm -rf "$to"
  mkdir -p "$to"
}

make_busybox_files() {
  local to=$cache/files/busybox busybox program
  busybox=$(command -v busybox)
  files busybox "$busybox" || return 0
  mkdir -p "$to/bin" "$to/etc" "$to/home/nonroot"
  cp "$busybox" "$to/bin/busybox"
  for program in $(busybox --list); do
    [ "$program" = busybox ] || ln -s busybox "$to/bin/$program"
  done
  printf 'root:x:0:0::/:/bin/sh\nnonroot:x:65532:65532::/home/nonroot:/bin/sh\n' >"$to/etc/passwd"
  printf 'root:x:0:\nnonroot:x:65532:\n' >"$to/etc/group"
  touch "$to.made"
}

# git as it is on this machine, with the libraries that ldd names: what is built in, HTTP, SSH, submodules and LFS.
make_git_files() {
  local to=$cache/files/git core git library
  git=$(command -v git)
  core=$(git --exec-path)
  files git "$git" || return 0
  mkdir -p "$to/usr/bin" "$to$core" "$to/usr/share/git-core" "$to/etc/ssl/certs"
  cp "$git" "$to/usr/bin/git"
  ln -s /usr/bin/git "$to$core/git"
  cp "$core/git-remote-http" "$to$core/git-remote-http"
  ln -s git-remote-http "$to$core/git-remote-https"
  cp "$core"/git-submodule "$core"/git-sh-* "$to$core/"
  cp "$(command -v git-lfs)" "$to/usr/bin/git-lfs"
  cp "$(command -v ssh)" "$to/usr/bin/ssh"
  cp -rL /usr/share/git-core/templates "$to/usr/share/git-core/templates"
  cp -L /etc/ssl/certs/ca-certificates.crt "$to/etc/ssl/certs/"
  ldd "$git" "$core/git-remote-http" "$core/git-sh-i18n--envsubst" "$to/usr/bin/git-lfs" "$to/usr/bin/ssh" | grep -o ' */[^ :]* (' | tr -d ' (' | sort -u | while read -r library; do
    mkdir -p "$to$(dirname "$library")"
    cp -L "$library" "$to$library"
  done
  touch "$to.made"
}

# load_images NAME…: into the node's container runtime.
load_images() {
  local name
  for name in "$@"; do
    in_node ctr --namespace k8s.io images import "$cache/images/$name.tar"
  done
}

# make_product_image builds Sentry as it is in this checkout.
make_product_image() {
  go_program "$root" ./cmd/sentry sentry
  image sentry -entrypoint /sentry -- "$bin/sentry:/sentry" /etc/ssl/certs/ca-certificates.crt
}

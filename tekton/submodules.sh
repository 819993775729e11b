# Fetches the submodules of a clone. Where they come from is the word of whoever writes to the repository: nothing of
# this machine, no program.
export GIT_ALLOW_PROTOCOL="http:https${SENTRY_SSH:+:ssh}"
try submodule update -q --init --recursive --depth 1 || fail
submodules=true
[ -n "$lfs" ] || [ -z "`git submodule foreach -q --recursive "git ls-files ':(attr:filter=lfs)'"`" ] ||
  echo 'WARNING: files in Git LFS of submodules are not fetched (deploy.lfs)' >&2

# Fetches the files in Git LFS of a clone.
git lfs version >/dev/null 2>&1 || {
  echo "the image of global.git_image has no git-lfs, which deploy.lfs needs: name one that has it, such as docker.io/alpine/git:2.49.1" >&2
  exit 1
}
# The filter is for this step, submodules included: where the commands run there may be no git-lfs. All files are there
# by then, since .lfsconfig is one of them.
[ $GIT_CONFIG_COUNT = 2 ] || export GIT_CONFIG_KEY_1=credential.helper GIT_CONFIG_VALUE_1=
export GIT_CONFIG_KEY_2=filter.lfs.process GIT_CONFIG_VALUE_2='git-lfs filter-process'
export GIT_CONFIG_KEY_3=filter.lfs.clean GIT_CONFIG_VALUE_3='git-lfs clean -- %f'
export GIT_CONFIG_KEY_4=filter.lfs.required GIT_CONFIG_VALUE_4=true GIT_CONFIG_COUNT=5
try lfs pull origin || fail
lfs=true

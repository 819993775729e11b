# Has the commands' git ask us for a password, for these URLs alone. The passwords stay in variables: they show in no list
# of processes and stay in no file. For these URLs whatever else the configuration of git names is not asked.
sentry_git() {
  sentry_n=${GIT_CONFIG_COUNT:-0}
  export "GIT_CONFIG_KEY_$sentry_n=credential.$1.helper" "GIT_CONFIG_VALUE_$sentry_n=$2" GIT_CONFIG_COUNT="`expr "$sentry_n" + 1`"
}
# The helper reads SENTRY_GIT_TOKEN or SENTRY_APP_TOKEN: $2 is the start of the name.
sentry_answer() {
  sentry_git "$1" "!f() { test \"\$1\" != get || printf 'username=%s\\npassword=%s\\n' \"\${$2_USERNAME}\" \"\${$2_TOKEN}\"; }; f"
}

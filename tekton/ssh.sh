# Has git reach a repository over SSH: by the key of this step alone, and at a host that known_hosts vouches for. OpenSSH takes a key
# from a file that nobody else may read, with lines that end as on Unix. In a pod the file is in memory. It is gone when the
# step ends, also by a signal that some shells end by without a word: on a machine without pods the steps of a deployment share a directory.
trap 'rm -f "$SENTRY_SSH/key" "$SENTRY_SSH/key-cert.pub"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
(
umask 077
printf '%s\n' "$SENTRY_GIT_SSH_KEY" | tr -d '\r' >"$SENTRY_SSH/key"
[ -z "${SENTRY_GIT_SSH_CERTIFICATE:-}" ] || printf '%s\n' "$SENTRY_GIT_SSH_CERTIFICATE" >"$SENTRY_SSH/key-cert.pub"
printf '%s\n' "${SENTRY_GIT_KNOWN_HOSTS:-${known_hosts-}}" >"$SENTRY_SSH/known_hosts"
)
unset SENTRY_GIT_SSH_KEY SENTRY_GIT_SSH_CERTIFICATE
ssh='ssh -F /dev/null -i "$SENTRY_SSH/key" -o "UserKnownHostsFile=\"$SENTRY_SSH/known_hosts\"" -o GlobalKnownHostsFile=/dev/null'
ssh="$ssh -o StrictHostKeyChecking=yes -o UpdateHostKeys=no -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes"
# A server that says nothing for a minute is out of reach.
export GIT_SSH_VARIANT=ssh GIT_SSH_COMMAND="$ssh -o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=4"

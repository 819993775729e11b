# Some programs read the names in capitals, some the others. What is in $sentry_direct, and the cluster's API server, is
# reached without a proxy.
[ -z "${HTTP_PROXY-}" ] || export HTTP_PROXY http_proxy="$HTTP_PROXY"
[ -z "${HTTPS_PROXY-}" ] || export HTTPS_PROXY https_proxy="$HTTPS_PROXY"
NO_PROXY="${NO_PROXY:+$NO_PROXY,}$sentry_direct${KUBERNETES_SERVICE_HOST:+,$KUBERNETES_SERVICE_HOST}"
export NO_PROXY no_proxy="$NO_PROXY"
unset sentry_direct

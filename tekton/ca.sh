# The authorities in $sentry_pem are trusted beside those of the image. Most programs take one file alone, so there is
# one with both, of each user that steps run as.
for sentry_file in "${SSL_CERT_FILE-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem ''; do
  [ ! -s "$sentry_file" ] || break
done
SSL_CERT_FILE="$SENTRY_DIR/ca-`id -u`.pem"
{ [ -z "$sentry_file" ] || cat "$sentry_file"; printf '\n%s' "$sentry_pem"; } >"$SSL_CERT_FILE"
export SSL_CERT_FILE GIT_SSL_CAINFO="$SSL_CERT_FILE" CURL_CA_BUNDLE="$SSL_CERT_FILE" REQUESTS_CA_BUNDLE="$SSL_CERT_FILE" NODE_EXTRA_CA_CERTS="$SSL_CERT_FILE"
unset sentry_file sentry_pem

package section

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

const (
	wantEndpoint = "the http(s) URL of an OTLP receiver, such as http://otel-collector.observability.svc:4318, or \"\" for none"
	wantHeaders  = "NAME=VALUE with commas between several, as in OTEL_EXPORTER_OTLP_HEADERS, and the values left to a ${NAME}"
	// maxHeaders bounds the headers in bytes: more than servers take of one request.
	maxHeaders = 8 << 10
	// tracesPath is where receivers take traces, behind their base URL.
	tracesPath = "/v1/traces"
)

// Traces is where traces of runs are sent.
type Traces struct {
	Endpoint string       // URL that takes POSTs of OTLP; "" = nothing is traced
	Headers  secret.Value // as in OTEL_EXPORTER_OTLP_HEADERS; see HeadersOf
}

// TracesField is the section `traces`.
func TracesField(t *Traces) schema.Field {
	f := schema.Section("traces",
		schema.Address("endpoint", &t.Endpoint, wantEndpoint, receiverOfTraces),
		schema.Field{Key: "headers", Kind: "string", Want: wantHeaders, Hidden: true,
			Read: func(d *schema.Decoder, path string, n *yaml.Node) {
				v, ok := d.Secret(path, n, wantHeaders)
				switch {
				case !ok:
				case !secret.HasReference(v.Text()):
					d.Fail(path, "does not leave its values to a variable; want %s", wantHeaders)
				default:
					if err := CheckHeaders(v); err != nil {
						d.Fail(path, "%v", err)
						return
					}
					t.Headers = v
				}
			}},
	)
	read := f.Read
	f.Read = func(d *schema.Decoder, path string, n *yaml.Node) {
		if read(d, path, n); t.Headers.IsSet() && !d.Given(schema.JoinKey(path, "endpoint")) {
			d.Fail(schema.JoinKey(path, "headers"), "is of no use without an endpoint; want %s", wantEndpoint)
		}
	}
	return f
}

// receiverOfTraces returns the URL that takes traces. One that does not name the place for them gets it, as OTEL_EXPORTER_OTLP_ENDPOINT does.
func receiverOfTraces(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := rule.ParseURL(s, wantEndpoint)
	switch {
	case err != nil:
		return "", err
	case u.User != nil:
		return "", errors.New("holds a user or a password, and logs name it; want those in headers, as Authorization=Basic%20…")
	case u.RawQuery != "" || u.ForceQuery:
		return "", fmt.Errorf("has a query (?); want %s", wantEndpoint)
	}
	s = strings.TrimRight(s, "/")
	if !strings.HasSuffix(s, tracesPath) {
		s += tracesPath
	}
	return s, nil
}

// headerName is what HTTP takes for the name of a header.
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// CheckHeaders says what is wrong with headers, and repeats nothing of them. Without a value they are none.
func CheckHeaders(v secret.Value) error {
	_, err := HeadersOf(v)
	return err
}

// Header is one header of a request.
type Header struct{ Name, Value string }

// HeadersOf returns the headers in a text like that of OTEL_EXPORTER_OTLP_HEADERS: NAME=VALUE, with commas between them, and %20 for what
// a value cannot hold as it is. Its error repeats nothing of it.
func HeadersOf(v secret.Value) ([]Header, error) {
	if len(v.Reveal()) > maxHeaders {
		return nil, fmt.Errorf("takes %d bytes; want at most %d", len(v.Reveal()), maxHeaders)
	}
	var headers []Header
	n := 0
	for pair := range strings.SplitSeq(v.Reveal(), ",") {
		n++
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, text, found := strings.Cut(pair, "=")
		name, text = strings.TrimSpace(name), strings.TrimSpace(text)
		value, err := url.PathUnescape(text)
		switch {
		case !found || !headerName.MatchString(name):
			return nil, fmt.Errorf("has something else than NAME=VALUE as part %d; want %s", n, wantHeaders)
		case err != nil || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return nil, fmt.Errorf("has a value that no header can have as part %d; want %%25 for a %%, and no line break", n)
		}
		headers = append(headers, Header{name, value})
	}
	return headers, nil
}

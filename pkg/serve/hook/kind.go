package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// maxSkew is how far a host's clock may be from ours where it signs the time.
const maxSkew = 5 * time.Minute

// kind is how the hooks of one kind of host look.
type kind struct {
	host     config.HostType
	events   []string // headers with the name of the event; the first that is there counts
	delivery []string // headers with what is another one in each delivery
	looks    []string // the events after which Sentry looks, in lower case
	ping     string
	verify   func(http.Header, key, time.Time) (signer, Outcome)
}

// signer takes the body, and says what came of it.
type signer interface {
	Write([]byte) (int, error)
	valid() bool
}

// key is the secret of the hooks. It is never empty.
type key string

// kinds are by the last part of their path.
var kinds = map[string]*kind{
	"github": {
		host: config.GitHub, ping: "ping",
		events: []string{"X-GitHub-Event"}, delivery: []string{"X-GitHub-Delivery"}, looks: []string{"push", "create", "delete"},
		verify: func(h http.Header, k key, _ time.Time) (signer, Outcome) {
			return k.hex(strings.TrimPrefix(h.Get("X-Hub-Signature-256"), "sha256="))
		},
	},
	"gitea": {
		host:     config.Gitea,
		events:   []string{"X-Gitea-Event", "X-Forgejo-Event"},
		delivery: []string{"X-Gitea-Delivery", "X-Forgejo-Delivery"}, looks: []string{"push", "create", "delete"},
		verify: func(h http.Header, k key, _ time.Time) (signer, Outcome) {
			for _, name := range []string{"X-Gitea-Signature", "X-Forgejo-Signature"} {
				if sent := h.Get(name); sent != "" {
					return k.hex(sent)
				}
			}
			return k.hex(strings.TrimPrefix(h.Get("X-Hub-Signature-256"), "sha256="))
		},
	},
	"gitlab": {
		host:     config.GitLab,
		events:   []string{"X-Gitlab-Event"},
		delivery: []string{"Webhook-Id", "X-Gitlab-Event-UUID"}, looks: []string{"push hook", "tag push hook"},
		verify: gitLab,
	},
}

// gitLab verifies what GitLab sends: a signature over the time, or in its place the secret itself.
func gitLab(h http.Header, k key, now time.Time) (signer, Outcome) {
	if token := h.Get("X-Gitlab-Token"); token != "" && k.equal(token) {
		return plain{}, Accepted
	}
	sent := h.Get("Webhook-Signature")
	if sent == "" {
		return nil, Forged
	}
	id, at := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return nil, Forged
	}
	if off := now.Sub(time.Unix(seconds, 0)); off > maxSkew || off < -maxSkew {
		return nil, Expired
	}
	s := &signature{Hash: hmac.New(sha256.New, k.standard())}
	for one := range strings.FieldsSeq(sent) {
		if code, ok := strings.CutPrefix(one, "v1,"); ok {
			if sum, err := base64.StdEncoding.DecodeString(code); err == nil {
				s.want = append(s.want, sum)
			}
		}
	}
	_, _ = s.Write([]byte(id + "." + at + "."))
	return s, Accepted
}

// hex returns the signer of a signature in hexadecimal.
func (k key) hex(sent string) (signer, Outcome) {
	sum, err := hex.DecodeString(sent)
	if err != nil || len(sum) != sha256.Size {
		return nil, Forged
	}
	return &signature{Hash: hmac.New(sha256.New, []byte(k)), want: [][]byte{sum}}, Accepted
}

// standard returns the key of https://www.standardwebhooks.com, whose secrets are whsec_ and Base64.
func (k key) standard() []byte {
	if code, ok := strings.CutPrefix(string(k), "whsec_"); ok {
		if raw, err := base64.StdEncoding.DecodeString(code); err == nil && len(raw) > 0 {
			return raw
		}
	}
	return []byte(k)
}

// equal compares in the same time whatever is sent, of whatever length.
func (k key) equal(sent string) bool {
	a, b := sha256.Sum256([]byte(k)), sha256.Sum256([]byte(sent))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// signature is that of all that was written.
type signature struct {
	hash.Hash
	want [][]byte
}

func (s *signature) valid() bool {
	sum, ok := s.Sum(nil), false
	for _, want := range s.want {
		ok = hmac.Equal(sum, want) || ok
	}
	return ok
}

// plain is for what was valid before the body came.
type plain struct{}

func (plain) Write(p []byte) (int, error) { return len(p), nil }
func (plain) valid() bool                 { return true }

// first returns the first of the headers that is there.
func first(h http.Header, names []string) string {
	for _, name := range names {
		if v := h.Get(name); v != "" {
			return v
		}
	}
	return ""
}

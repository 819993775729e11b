package act

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/serve/page/view"
)

const (
	// maxToken bounds a token that is kept in a cookie, in bytes: browsers take 4096 of a cookie. maxHeader bounds one of a header.
	maxToken  = 2800
	maxHeader = 8 << 10
	// stay is how long a session lasts at most.
	stay = 12 * time.Hour
)

// tokens are what may be one: RFC 6750.
var tokens = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// newSeal returns what closes texts that this process alone opens: its key is in no other place, and ends with it.
func newSeal() cipher.AEAD {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key has a good length
	}
	sealed, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return sealed
}

// seal closes a value, for one use of its text alone.
func (g *Gate) seal(use string, value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // they are ours
	}
	return base64.RawURLEncoding.EncodeToString(g.sealed.Seal(nil, nil, text, []byte(use)))
}

var errSealed = errors.New("it was not made here")

// opens opens what seal closed.
func (g *Gate) opens(use, text string, value any) error {
	closed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return errSealed
	}
	plain, err := g.sealed.Open(nil, nil, closed, []byte(use))
	if err != nil {
		return errSealed
	}
	return json.Unmarshal(plain, value)
}

// session is what a cookie holds, sealed.
type session struct {
	ID    string    `json:"id"`
	Token string    `json:"token,omitempty"` // "" = that of Self
	Until time.Time `json:"until"`
}

// Visitor is somebody who may do something.
type Visitor struct {
	Person // nil for one whom views are for
	Name   string
	May    Rights
	id     string // of the session: a form is for it alone
}

// Key tells apart those who are shown different things.
func (v *Visitor) Key() string {
	if v == nil {
		return ""
	}
	key := []byte("acts----:")
	for i, may := range []bool{v.May.Run, v.May.Cancel, v.May.Pause, v.May.Logs} {
		if may {
			key[4+i] = '+'
		}
	}
	return string(key)
}

// cookieName is what the cookie is called: by its port, as browsers send cookies to all ports of a host. Over TLS no other host can set it.
func cookieName(r *http.Request, secure bool) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = "0"
	}
	if secure {
		return "__Host-sentry-" + port
	}
	return "sentry-" + port
}

// sessionOf is what the seal of a session is for: a cookie of one name at one host, as others can plant there what they began elsewhere.
func sessionOf(r *http.Request, secure bool) string {
	return "session " + cookieName(r, secure) + " " + strings.ToLower(r.Host)
}

// Visitor returns who asks, for the views, which have nothing done; nil for one who only reads, or as long as that cannot be told.
func (g *Gate) Visitor(r *http.Request) *Visitor {
	v, _ := g.visitor(r, false)
	return v
}

// visitor returns who asks; nil for nobody. An error says that it cannot be told now. surely asks for that anew.
func (g *Gate) visitor(r *http.Request, surely bool) (*Visitor, error) {
	s, ok := g.claim(r)
	if !ok {
		return nil, nil
	}
	v, err := g.known.of(r.Context(), s, surely)
	if err != nil {
		g.Log.Debug("somebody who visits the page cannot act", "err", g.hide(err.Error()))
	}
	if errors.Is(err, ErrNobody) {
		return nil, nil
	}
	return v, err
}

// claim returns as whom somebody comes. A token of a header goes before a cookie: a proxy adds it, that knows better.
func (g *Gate) claim(r *http.Request) (s someone, ok bool) {
	s.from = source(r)
	if given := r.Header.Values("Authorization"); g.Bring != nil && len(given) > 0 {
		kind, token, _ := strings.Cut(given[0], " ")
		if len(given) > 1 || !strings.EqualFold(kind, "Bearer") || len(token) > maxHeader || !tokens.MatchString(token) {
			return s, false
		}
		sum := sha256.Sum256([]byte(token))
		s.id, s.is = "header "+hex.EncodeToString(sum[:]), g.bringing(token)
		return s, true
	}
	begun, ok := g.session(r)
	if !ok || begun.Token != "" && g.Bring == nil {
		return s, false
	}
	s.id, s.known, s.is = begun.ID, true, g.bringing(begun.Token)
	if begun.Token == "" {
		s.is = func() (Person, error) { return g.Self, nil }
	}
	return s, true
}

// bringing returns what brings who has a token.
func (g *Gate) bringing(token string) func() (Person, error) {
	return func() (Person, error) { return g.Bring(token) }
}

// session returns that of the cookie. Two of one name are none: one of them was put there by somebody else.
func (g *Gate) session(r *http.Request) (s session, ok bool) {
	for _, secure := range []bool{true, false} {
		found := r.CookiesNamed(cookieName(r, secure))
		if len(found) > 1 {
			return session{}, false
		}
		if len(found) == 1 {
			err := g.opens(sessionOf(r, secure), found[0].Value, &s)
			return s, err == nil && s.ID != "" && g.Now().Before(s.Until) && (s.Token != "" || g.Self != nil)
		}
	}
	return s, false
}

// begin gives a session to a browser.
func (g *Gate) begin(w http.ResponseWriter, r *http.Request, token string, secure bool) {
	value := g.seal(sessionOf(r, secure), session{ID: Word(32), Token: token, Until: g.Now().Add(stay)})
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r, secure), Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure,
	})
}

// enter begins the session of who has the key, or asks for a token.
func (g *Gate) enter(w http.ResponseWriter, r *http.Request) {
	if key := r.URL.Query().Get("key"); g.Self != nil && key != "" {
		if subtle.ConstantTimeCompare([]byte(key), []byte(g.Key)) != 1 {
			g.refuse(w, r, http.StatusForbidden, "That is not the key that 'sentry page' printed when it began.", "/")
			return
		}
		g.begin(w, r, "", false)
		http.Redirect(w, r, "/", http.StatusSeeOther) // away from the key, which is in no address then
		return
	}
	v, err := g.visitor(r, true)
	if err != nil {
		g.trouble(w, r, err)
		return
	}
	if v == nil && g.Bring == nil {
		g.nobody(w, r)
		return
	}
	g.Show(w, r, http.StatusOK, view.Frame{Title: "Act", Still: true, View: view.Enter(told(v))})
}

// told is what is shown of a session.
func told(v *Visitor) view.Session {
	if v == nil {
		return view.Session{}
	}
	s := view.Session{Name: v.Name, Given: strings.HasPrefix(v.id, "header ")}
	for _, may := range []struct {
		may   bool
		words string
	}{{v.May.Run, "start runs"}, {v.May.Cancel, "cancel them"}, {v.May.Pause, "pause and resume units"}, {v.May.Logs, "read logs"}} {
		if may.may {
			s.May = append(s.May, may.words)
		}
	}
	return s
}

// maxEntry bounds the form of a token.
const maxEntry = 16 << 10

// come begins the session of who brings a token.
func (g *Gate) come(w http.ResponseWriter, r *http.Request) {
	if g.Bring == nil {
		g.nobody(w, r)
		return
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	if err != nil || origin.Host == "" || !strings.EqualFold(origin.Host, r.Host) {
		g.refuse(w, r, http.StatusForbidden, "The browser does not say that this form is ours. Programs send a token as a header instead, Authorization: Bearer.", "/enter")
		return
	}
	secure := origin.Scheme == "https"
	if !secure && !isHere(origin.Hostname()) {
		g.refuse(w, r, http.StatusForbidden, "No token is taken over plain HTTP, where others on the way would read it: use https://, or kubectl port-forward.", "/enter")
		return
	}
	form, err := fields(w, r, maxEntry, "token")
	token := strings.TrimSpace(form["token"])
	if err != nil || !tokens.MatchString(token) {
		g.refuse(w, r, http.StatusBadRequest, "That is no token of Kubernetes: it is one long word, as 'kubectl create token NAME' prints.", "/enter")
		return
	}
	if len(token) > maxToken {
		g.refuse(w, r, http.StatusBadRequest, "That token is too long for a cookie. A proxy can send it as a header, Authorization: Bearer.", "/enter")
		return
	}
	switch err := g.known.enters(r.Context(), someone{from: source(r), is: g.bringing(token)}); {
	case errors.Is(err, ErrNobody):
		g.refuse(w, r, http.StatusForbidden, "No session was begun: "+err.Error(), "/enter")
		return
	case err != nil:
		g.trouble(w, r, err)
		return
	}
	g.begin(w, r, token, secure)
	http.Redirect(w, r, "/enter", http.StatusSeeOther)
}

// leave ends a session in the browser that asks.
func (g *Gate) leave(w http.ResponseWriter, r *http.Request) {
	for _, secure := range []bool{true, false} {
		http.SetCookie(w, &http.Cookie{Name: cookieName(r, secure), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure, MaxAge: -1})
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// isHere reports whether a name is that of the machine that the browser is on.
func isHere(name string) bool {
	ip, err := netip.ParseAddr(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || err == nil && ip.IsLoopback()
}

package act_test

import (
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/serve/page/act"
	"github.com/tekton-sentry/sentry/pkg/serve/page/pagetest"
)

var began = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

const (
	key    = "0123456789abcdef0123456789abcdef"
	token  = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
	other  = "another-token"
	cinema = "read-only-token"
	host   = "localhost:8082"
)

// trial is a page in a cluster, to which ada brings a token, as does bob, and one who may do nothing; or that of ada's own machine.
type trial struct {
	t      *testing.T
	page   http.Handler
	source *pagetest.Memory
	now    time.Time
	ada    *pagetest.Person
	bob    *pagetest.Person

	brought func(token string)
}

func newTrial(t *testing.T, own bool) *trial {
	t.Helper()
	s := &trial{t: t, now: began, source: &pagetest.Memory{Is: pagetest.Small(t, began)}}
	s.ada, s.bob = &pagetest.Person{Name: "ada", May: pagetest.All}, &pagetest.Person{Name: "bob", May: act.Rights{Cancel: true}}
	o := act.Options{Hide: func(text string) string { return strings.ReplaceAll(text, "hunter2", "[redacted]") }}
	if own {
		o.Self, o.Key = s.ada, key
	} else {
		o.Bring = func(given string) (act.Person, error) {
			if s.brought != nil {
				s.brought(given)
			}
			switch given {
			case token:
				return s.ada, nil
			case other:
				return s.bob, nil
			case cinema:
				return &pagetest.Person{Name: "eve"}, nil
			}
			return &pagetest.Person{}, nil
		}
	}
	s.page = pagetest.Acting(t, s.source, func() time.Time { return s.now }, o)
	return s
}

// ask sends a request as a browser does that is on the page, changed by the headers; Host: is that.
func (s *trial) ask(method, target string, body io.Reader, headers ...string) (*http.Response, string) {
	s.t.Helper()
	r := httptest.NewRequest(method, target, body)
	r.Host = host
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Origin", "http://"+host)
	}
	for i := 0; i < len(headers); i += 2 {
		switch name, value := headers[i], headers[i+1]; {
		case name == "Host":
			r.Host = value
		case value == "":
			r.Header.Del(name)
		case name == "Cookie" || strings.HasPrefix(name, "+"):
			r.Header.Add(strings.TrimPrefix(name, "+"), value)
		default:
			r.Header.Set(name, value)
		}
	}
	w := httptest.NewRecorder()
	s.page.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return w.Result(), string(text)
}

func (s *trial) get(target string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	return s.ask(http.MethodGet, target, nil, headers...)
}

func (s *trial) post(target string, form url.Values, headers ...string) (*http.Response, string) {
	s.t.Helper()
	return s.ask(http.MethodPost, target, strings.NewReader(form.Encode()), headers...)
}

// enter begins a session, and returns its cookie as a browser sends it.
func (s *trial) enter(token string) string {
	s.t.Helper()
	var resp *http.Response
	if token == "" {
		resp, _ = s.get("/enter?key=" + key)
	} else {
		resp, _ = s.post("/enter", url.Values{"token": {token}})
	}
	if len(resp.Cookies()) != 1 || resp.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("entering gave status %d and %d cookies", resp.StatusCode, len(resp.Cookies()))
	}
	c := resp.Cookies()[0]
	return c.Name + "=" + c.Value
}

var sealed = regexp.MustCompile(`name="form" value="([^"]*)"`)

// form asks for what would be done, and returns the form that has it done.
func (s *trial) form(target string, headers ...string) url.Values {
	s.t.Helper()
	resp, text := s.get(target, headers...)
	found := sealed.FindStringSubmatch(text)
	if resp.StatusCode != http.StatusOK || found == nil {
		s.t.Fatalf("%s: status %d, no form in\n%s", target, resp.StatusCode, text)
	}
	return url.Values{"form": {html.UnescapeString(found[1])}}
}

// forbidden is a body that nobody may read.
type forbidden struct{ t *testing.T }

func (f forbidden) Read([]byte) (int, error) {
	f.t.Error("the body was read")
	return 0, io.EOF
}

var verbs = map[act.Verb]string{
	act.Trigger: "unit=shop", act.Rollback: "unit=shop", act.Pause: "unit=shop", act.Resume: "unit=shop", act.Rerun: "run=shop-2", act.Failed: "run=shop-2",
	act.Cancel: "run=lib-main-7",
}

// Who only reads finds no way to an action, whatever they come with, and whatever they try is refused before anything is looked up.
func TestReadOnlyVisitors(t *testing.T) {
	for name, own := range map[string]bool{"in a cluster": false, "on a machine": true} {
		for with, headers := range map[string][]string{
			"nothing": nil, "another kind of header": {"Authorization", "Basic YWRhOmFkYQ=="}, "a token that is none": {"Authorization", "Bearer \"><x>"},
			"no token": {"Authorization", "Bearer "}, "a token that nobody knows": {"Authorization", "Bearer unknown"},
			"two tokens": {"Authorization", "Bearer " + token, "+Authorization", "Bearer " + token}, "two in one": {"Authorization", "Bearer " + token + ", Bearer " + other},
			"a long token": {"Authorization", "Bearer " + strings.Repeat("a", 9<<10)}, "a token in a cookie": {"Cookie", "sentry-8082=" + token},
			"names of a proxy": {"X-Forwarded-User", "ada", "X-Auth-Request-User", "ada", "X-Remote-User", "ada", "Impersonate-User", "ada"},
			"who may nothing":  {"Authorization", "Bearer " + cinema},
		} {
			s := newTrial(t, own)
			for _, target := range []string{"/", "/unit/shop", "/unit/lib.main", "/runs", "/run/shop-2", "/run/lib-main-7", "/repository/lib", "/problems", "/none"} {
				_, text := s.get(target, headers...)
				if m := regexp.MustCompile(`(?i)/act/|/log/|method="?post|name="form"|<button class`).FindString(text); m != "" {
					t.Errorf("%s, %s: %s has %q", name, with, target, m)
				}
			}
			looked := s.source.Asked
			s.now = s.now.Add(time.Hour) // whatever is looked up would be read again
			for verb, query := range verbs {
				for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
					var body io.Reader
					if method == "POST" {
						body = forbidden{t}
					}
					want := map[string]int{"GET": 404, "HEAD": 404, "POST": 403}[method]
					if want == 0 {
						want = 405
					}
					if resp, _ := s.ask(method, "/act/"+string(verb)+"?"+query, body, headers...); resp.StatusCode != want {
						t.Errorf("%s, %s: %s %s: status %d, want %d", name, with, method, verb, resp.StatusCode, want)
					}
				}
			}
			for _, target := range []string{"/log/lib-main-7", "/log/lib-main-7/events"} {
				if resp, _ := s.get(target, headers...); resp.StatusCode != http.StatusNotFound {
					t.Errorf("%s, %s: %s: status %d", name, with, target, resp.StatusCode)
				}
			}
			if s.source.Asked != looked || s.ada.Asked() != 0 {
				t.Errorf("%s, %s: something was looked up", name, with)
			}
		}
	}
}

// On a page that is only read there is none of it.
func TestPageThatIsOnlyRead(t *testing.T) {
	s := newTrial(t, false)
	s.page = pagetest.New(t, s.source, func() time.Time { return began })
	for _, target := range []string{"/enter", "/act/trigger?unit=shop", "/log/lib-main-7"} {
		if resp, _ := s.get(target, "Authorization", "Bearer "+token); resp.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: status %d", target, resp.StatusCode)
		}
		if resp, _ := s.ask(http.MethodPost, target, forbidden{t}, "Authorization", "Bearer "+token); resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: status %d", target, resp.StatusCode)
		}
	}
}

// Each thing is asked once, shows what it does, and is done by a form that leads to what it made. Nothing is done before.
func TestEachVerb(t *testing.T) {
	for name, own := range map[string]bool{"in a cluster": false, "on a machine": true} {
		s := newTrial(t, own)
		who := token
		if own {
			who = ""
		}
		cookie := s.enter(who)
		for verb, query := range verbs {
			target := "/act/" + string(verb) + "?" + query
			form := s.form(target, "Cookie", cookie)
			if n := len(s.ada.Done()); n != 0 {
				t.Fatalf("%s: %s: a GET did %d things", name, verb, n)
			}
			want := map[act.Verb]string{act.Pause: "/unit/shop", act.Resume: "/unit/shop", act.Cancel: "/run/lib-main-7"}[verb]
			if verb == act.Pause {
				form.Set("reason", "the database moves")
			}
			resp, text := s.post("/act/"+string(verb), form, "Cookie", cookie)
			done := s.ada.Done()
			if resp.StatusCode != http.StatusSeeOther || len(done) != 1 || done[0].Verb != verb {
				t.Fatalf("%s: %s: status %d, did %+v\n%s", name, verb, resp.StatusCode, done, text)
			}
			if want == "" {
				want = "/run/made-" + done[0].Word
				if len(done[0].Members) != 1 || done[0].Members[0].SHA != pagetest.SHA("c") || done[0].Members[0].QA != pagetest.SHA("d") {
					t.Errorf("%s: %s: what was done is not what was shown: %+v", name, verb, done[0])
				}
			}
			if at := resp.Header.Get("Location"); at != want {
				t.Errorf("%s: %s: it leads to %q, want %q", name, verb, at, want)
			}
			if verb == act.Pause && done[0].Reason != "the database moves" {
				t.Errorf("%s: the reason is %q", name, done[0].Reason)
			}
			s.ada = &pagetest.Person{Name: "ada", May: pagetest.All}
			fresh := newTrial(t, own)
			*s, cookie = *fresh, fresh.enter(who)
		}
	}
}

// The same form, sent twice, orders the same run: its name follows from a word in it.
func TestTwice(t *testing.T) {
	s := newTrial(t, false)
	cookie := s.enter(token)
	form := s.form("/act/trigger?unit=shop", "Cookie", cookie)
	first, _ := s.post("/act/trigger", form, "Cookie", cookie)
	second, _ := s.post("/act/trigger", form, "Cookie", cookie)
	if a, b := first.Header.Get("Location"), second.Header.Get("Location"); a != b || a == "" {
		t.Errorf("it leads to %q and then to %q", a, b)
	}
	third, _ := s.post("/act/trigger", s.form("/act/trigger?unit=shop", "Cookie", cookie), "Cookie", cookie)
	if third.Header.Get("Location") == first.Header.Get("Location") {
		t.Error("another form is the same run")
	}
}

// Another site has nothing done, though the browser of somebody who may would send all that is asked for.
func TestOtherSites(t *testing.T) {
	s := newTrial(t, false)
	cookie := s.enter(token)
	form := s.form("/act/cancel?run=lib-main-7", "Cookie", cookie)
	for name, headers := range map[string][]string{
		"another site":                   {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
		"another site without an origin": {"Sec-Fetch-Site", "cross-site", "Origin", "null"},
		"another port":                   {"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:9999"},
		"an old browser":                 {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
		"an old browser in a sandbox":    {"Sec-Fetch-Site", "", "Origin", "null"},
		"a name that was pointed here":   {"Host", "evil.example", "Origin", "http://evil.example"},
	} {
		for with, who := range map[string][]string{"a cookie": {"Cookie", cookie}, "a header of a proxy": {"Authorization", "Bearer " + token}} {
			resp, _ := s.post("/act/cancel", form, append(who, headers...)...)
			if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusMisdirectedRequest || len(s.ada.Done()) > 0 {
				t.Errorf("%s, with %s: status %d, did %d things", name, with, resp.StatusCode, len(s.ada.Done()))
			}
		}
		if resp, _ := s.post("/enter", url.Values{"token": {other}}, headers...); resp.StatusCode == http.StatusSeeOther || len(resp.Cookies()) > 0 {
			t.Errorf("%s: it began a session for somebody else", name)
		}
	}
	asked := s.ada.Asked()
	for _, mode := range []string{"navigate", "no-cors", "cors"} {
		resp, _ := s.get("/act/trigger?unit=shop", "Cookie", cookie, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", mode, "Sec-Fetch-Dest", "document")
		if resp.StatusCode != http.StatusForbidden || s.ada.Asked() != asked {
			t.Errorf("another site had hosts asked by a %s: status %d", mode, resp.StatusCode)
		}
	}
	resp, _ := s.get("/act/trigger?unit=shop", "Cookie", cookie)
	for name, want := range map[string]string{"X-Frame-Options": "DENY", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "form-action 'self'") {
		t.Errorf("the policy is %q", policy)
	}
}

// A form that was made for somebody or something else, or is none, does nothing.
func TestForms(t *testing.T) {
	s := newTrial(t, false)
	cookie, again, bobs := s.enter(token), s.enter(token), s.enter(other)
	form := s.form("/act/cancel?run=lib-main-7", "Cookie", cookie)
	text := form.Get("form")
	altered := []byte(text)
	altered[len(altered)/2] ^= 1
	elsewhere := newTrial(t, false)
	with := func(name, value string) url.Values { return url.Values{"form": {text}, name: {value}} }
	for name, c := range map[string]struct {
		target, cookie string
		form           url.Values
		header         []string
	}{
		"of another session":      {"/act/cancel", again, form, nil},
		"of another person":       {"/act/cancel", bobs, form, nil},
		"of another verb":         {"/act/pause", cookie, form, nil},
		"of another process":      {"/act/cancel", cookie, elsewhere.form("/act/cancel?run=x", "Cookie", elsewhere.enter(token)), nil},
		"altered":                 {"/act/cancel", cookie, url.Values{"form": {string(altered)}}, nil},
		"the cookie as a form":    {"/act/cancel", cookie, url.Values{"form": {cookie[strings.Index(cookie, "=")+1:]}}, nil},
		"empty":                   {"/act/cancel", cookie, url.Values{"form": {""}}, nil},
		"none":                    {"/act/cancel", cookie, url.Values{}, nil},
		"twice in one":            {"/act/cancel", cookie, url.Values{"form": {text, text}}, nil},
		"with another field":      {"/act/cancel", cookie, with("run", "shop-2"), nil},
		"with a query":            {"/act/cancel?run=shop-2", cookie, form, nil},
		"as JSON":                 {"/act/cancel", cookie, form, []string{"Content-Type", "application/json"}},
		"as text":                 {"/act/cancel", cookie, form, []string{"Content-Type", "text/plain"}},
		"as a file":               {"/act/cancel", cookie, form, []string{"Content-Type", "multipart/form-data; boundary=x"}},
		"too long":                {"/act/cancel", cookie, with("reason", strings.Repeat("a", 300<<10)), nil},
		"with two cookies":        {"/act/cancel", cookie + "; " + cookie, form, nil},
		"with two others' cookie": {"/act/cancel", cookie + "; " + bobs, form, nil},
	} {
		resp, answer := s.post(c.target, c.form, append([]string{"Cookie", c.cookie}, c.header...)...)
		if resp.StatusCode/100 != 4 || len(s.ada.Done())+len(s.bob.Done()) > 0 {
			t.Errorf("a form %s: status %d, did %v", name, resp.StatusCode, s.ada.Done())
		}
		if strings.Contains(answer, token) {
			t.Errorf("a form %s: the answer has the token", name)
		}
	}
	s.now = s.now.Add(11 * time.Minute)
	if resp, answer := s.post("/act/cancel", form, "Cookie", cookie); resp.StatusCode != http.StatusConflict || !strings.Contains(answer, "Begin again") || len(s.ada.Done()) > 0 {
		t.Errorf("an old form: status %d\n%s", resp.StatusCode, answer)
	}
	s.now = s.now.Add(12 * time.Hour)
	if resp, _ := s.get("/act/cancel?run=lib-main-7", "Cookie", cookie); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a session of yesterday: status %d", resp.StatusCode)
	}
}

// A token is taken where nobody on the way reads it, kept in a cookie that no script and no other site has, and told to nobody.
func TestTokens(t *testing.T) {
	s := newTrial(t, false)
	for name, c := range map[string]struct {
		token   string
		headers []string
		want    int
	}{
		"at localhost":          {token, nil, 303},
		"at an address":         {token, []string{"Host", "127.0.0.1:8082", "Origin", "http://127.0.0.1:8082"}, 303},
		"over TLS":              {token, []string{"Host", "sentry.example.com", "Origin", "https://sentry.example.com"}, 303},
		"over plain HTTP":       {token, []string{"Host", "sentry.example.com", "Origin", "http://sentry.example.com"}, 403},
		"at another address":    {token, []string{"Host", "10.0.0.7:8082", "Origin", "http://10.0.0.7:8082"}, 403},
		"without an origin":     {token, []string{"Origin", ""}, 403},
		"of nobody":             {"unknown", nil, 403},
		"that is two":           {token + " " + token, nil, 400},
		"that is none":          {"a\r\nX: y", nil, 400},
		"that fits no cookie":   {strings.Repeat("a", 2801), nil, 400},
		"that is nothing":       {"", nil, 400},
		"with what looks so":    {"Bearer " + token, nil, 400},
		"of one who may do nil": {cinema, nil, 303},
	} {
		resp, text := s.post("/enter", url.Values{"token": {c.token}}, c.headers...)
		if resp.StatusCode != c.want || len(resp.Cookies()) > 0 != (c.want == 303) {
			t.Errorf("a token %s: status %d, want %d, and %d cookies", name, resp.StatusCode, c.want, len(resp.Cookies()))
		}
		if c.token != "" && strings.Contains(text+resp.Header.Get("Location"), c.token) {
			t.Errorf("a token %s is told", name)
		}
		for _, cookie := range resp.Cookies() {
			secure := strings.Contains(strings.Join(c.headers, " "), "https://")
			if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" || cookie.Secure != secure ||
				strings.HasPrefix(cookie.Name, "__Host-") != secure || strings.Contains(cookie.Value, c.token) || !cookie.Expires.IsZero() {
				t.Errorf("a token %s: the cookie is %v", name, cookie)
			}
		}
	}
	// A header of a proxy goes before a cookie, and forms are for one of them.
	cookie := s.enter(token)
	if _, text := s.get("/enter", "Cookie", cookie, "Authorization", "Bearer "+other); !strings.Contains(text, "<strong>bob</strong>") || strings.Contains(text, "/leave") {
		t.Errorf("with both it says\n%s", text)
	}
	form := s.form("/act/cancel?run=lib-main-7", "Cookie", cookie)
	if resp, _ := s.post("/act/cancel", form, "Cookie", cookie, "Authorization", "Bearer "+other); resp.StatusCode != http.StatusForbidden || len(s.bob.Done()) > 0 {
		t.Errorf("the form of a cookie, with a header: status %d", resp.StatusCode)
	}
	headed := s.form("/act/cancel?run=lib-main-7", "Authorization", "Bearer "+other)
	if resp, _ := s.post("/act/cancel", headed, "Authorization", "Bearer "+other); resp.StatusCode != http.StatusSeeOther || len(s.bob.Done()) != 1 {
		t.Errorf("with a header alone: status %d", resp.StatusCode)
	}
	// What was made for somebody is shown to nobody else.
	if _, text := s.get("/unit/shop", "Cookie", cookie); !strings.Contains(text, "/act/trigger") {
		t.Errorf("ada is offered\n%s", text)
	}
	if _, text := s.get("/unit/shop"); strings.Contains(text, "/act/") {
		t.Errorf("after her, who only reads is offered\n%s", text)
	}
	// Who may cancel is offered that alone.
	_, text := s.get("/unit/shop", "Authorization", "Bearer "+other)
	_, run := s.get("/run/lib-main-7", "Authorization", "Bearer "+other)
	if strings.Contains(text, "/act/") || !strings.Contains(run, "/act/cancel?run=lib-main-7") || strings.Contains(run, "/log/") {
		t.Errorf("bob is offered\n%s\n%s", text, run)
	}
	if resp, _ := s.get("/act/trigger?unit=shop", "Authorization", "Bearer "+other); resp.StatusCode != http.StatusNotFound {
		t.Errorf("bob may not trigger: status %d", resp.StatusCode)
	}
	resp, _ := s.post("/leave", nil, "Cookie", cookie)
	for _, c := range resp.Cookies() {
		if c.MaxAge >= 0 || c.Value != "" {
			t.Errorf("leaving leaves %v", c)
		}
	}
}

// The key of the address is for this process alone, and in no address once it was used.
func TestKey(t *testing.T) {
	s := newTrial(t, true)
	for _, target := range []string{"/enter?key=" + strings.Repeat("0", 32), "/enter?key=" + key[1:], "/enter?key=" + key + "0"} {
		if resp, text := s.get(target); resp.StatusCode != http.StatusForbidden || len(resp.Cookies()) > 0 || strings.Contains(text, key) {
			t.Errorf("%s: status %d", target, resp.StatusCode)
		}
	}
	resp, _ := s.get("/enter?key=" + key)
	if at := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || at != "/" {
		t.Errorf("status %d, to %q", resp.StatusCode, at)
	}
	if c := resp.Cookies()[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || strings.Contains(c.Value, key) {
		t.Errorf("the cookie is %v", c)
	}
	cookie := s.enter("")
	if resp, _ := s.get("/act/trigger?unit=shop", "Cookie", cookie); resp.StatusCode != http.StatusOK {
		t.Errorf("with the cookie: status %d", resp.StatusCode)
	}
	// A cookie of another port, of another process, and a token: none of them is hers.
	for name, headers := range map[string][]string{
		"another process": {"Cookie", newTrial(t, true).enter("")}, "another port": {"Cookie", strings.Replace(cookie, "8082", "9000", 1)}, "a token": {"Authorization", "Bearer " + token},
	} {
		if resp, _ := s.get("/act/trigger?unit=shop", headers...); resp.StatusCode != http.StatusNotFound {
			t.Errorf("with %s: status %d", name, resp.StatusCode)
		}
	}
	if resp, _ := s.post("/enter", url.Values{"token": {token}}); resp.StatusCode != http.StatusForbidden || len(resp.Cookies()) > 0 {
		t.Errorf("it takes a token: status %d", resp.StatusCode)
	}
}

// Why something was not done is told in words, without what is secret.
func TestErrors(t *testing.T) {
	s := newTrial(t, false)
	cookie := s.enter(token)
	form := s.form("/act/pause?unit=shop", "Cookie", cookie)
	for err, want := range map[error]string{
		errors.New("the state was written by somebody else: try again"):     "the state was written by somebody else: try again",
		errors.New("https://ada:hunter2@host.example says <script>"):        "https://ada:[redacted]@host.example says &lt;script&gt;",
		errors.Join(errors.New("read the heads"), context.DeadlineExceeded): "Look how things are before you try again",
	} {
		s.ada.Err = err
		resp, text := s.post("/act/pause", form, "Cookie", cookie)
		if resp.StatusCode != http.StatusConflict || !strings.Contains(text, want) || !strings.Contains(text, `href="/unit/shop"`) {
			t.Errorf("%v: status %d\n%s", err, resp.StatusCode, text)
		}
	}
	if resp, text := s.get("/act/trigger?unit=none", "Cookie", cookie); resp.StatusCode != http.StatusConflict || !strings.Contains(text, "nothing is known of it") {
		t.Errorf("what cannot be planned: status %d\n%s", resp.StatusCode, text)
	}
	if resp, _ := s.get("/act/destroy?unit=shop", "Cookie", cookie); resp.StatusCode != http.StatusNotFound {
		t.Errorf("no verb: status %d", resp.StatusCode)
	}
	for _, target := range []string{"/act/trigger?unit=" + url.QueryEscape(pagetest.Script), "/act/rerun?run=" + url.QueryEscape(pagetest.Script)} {
		if _, text := s.get(target, "Cookie", cookie); strings.Contains(text, "<img") || strings.Contains(text, "<script>alert") {
			t.Errorf("%s:\n%s", target, text)
		}
	}
}

// stream returns all of a stream, over TCP.
func (s *trial) stream(target, cookie string) string {
	s.t.Helper()
	server := httptest.NewServer(s.page)
	defer server.Close()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, server.URL+target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("Cookie", cookie)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// A log is the end of what was printed, as text, without what is secret, and with JavaScript as it comes.
func TestLog(t *testing.T) {
	s := newTrial(t, false)
	cookie := s.enter(token)
	s.ada.Printed = append(s.ada.Printed, strings.Repeat(strings.Repeat("x", 99)+"\n", 2000)+"[web : deploy] first of the end", "\x1b[2J"+pagetest.Script+"\u202e\r", "token hunter2", "\xff")
	resp, text := s.get("/log/lib-main-7", "Cookie", cookie)
	if resp.StatusCode != http.StatusOK || len(text) > 90<<10 || !strings.Contains(text, "The last 64 KiB") || !strings.Contains(text, "first of the end") {
		t.Errorf("status %d, %d bytes:\n%.2000s", resp.StatusCode, len(text), text)
	}
	stream := s.stream("/log/lib-main-7/events", cookie)
	if !strings.Contains(stream, "event: begin") || !strings.Contains(stream, "data: [web : deploy] first of the end\n") || !strings.HasSuffix(stream, "event: end\ndata:\n\n") {
		t.Errorf("the stream is\n%.300s\n…\n%s", stream, stream[max(0, len(stream)-600):])
	}
	for name, shown := range map[string]string{"the view": text, "the stream": stream} {
		for _, bad := range []string{"\x1b", "\u202e", "hunter2", "\r", "\xff"} {
			if strings.Contains(shown, bad) {
				t.Errorf("%s has %q", name, bad)
			}
		}
	}
	if strings.Contains(text, "<script>alert") || strings.Contains(text, "<img") {
		t.Error("a script is in the view")
	}
	for line := range strings.SplitSeq(stream, "\n") {
		if line != "" && !strings.HasPrefix(line, "data:") && !strings.HasPrefix(line, "event: ") && line != "retry: 5000" {
			t.Errorf("a line of a log became one of the stream: %q", line)
		}
	}
	if resp, _ := s.get("/log/none", "Cookie", cookie); resp.StatusCode != http.StatusNotFound {
		t.Errorf("no run: status %d", resp.StatusCode)
	}
	s.ada.Err = errors.New("forbidden: pods/log hunter2")
	if _, text := s.get("/log/lib-main-7", "Cookie", cookie); !strings.Contains(text, "forbidden: pods/log [redacted]") {
		t.Errorf("without the right it says\n%s", text)
	}
}

// The question names what is done, and nothing else can stand in its address.
func TestTheQuestion(t *testing.T) {
	s := newTrial(t, false)
	cookie := s.enter(token)
	for _, target := range []string{
		"/act/pause?unit=shop&run=lib-main-7", "/act/cancel?run=lib-main-7&unit=shop", "/act/pause?run=lib-main-7", "/act/cancel?unit=shop", "/act/pause",
		"/act/pause?unit=", "/act/pause?unit=shop&unit=web", "/act/trigger?unit=shop&reason=x",
	} {
		asked := s.source.Asked
		if resp, text := s.get(target, "Cookie", cookie); resp.StatusCode != http.StatusBadRequest || sealed.MatchString(text) || s.source.Asked != asked {
			t.Errorf("%s: status %d", target, resp.StatusCode)
		}
	}
	for verb, query := range verbs {
		_, name, _ := strings.Cut(query, "=")
		if _, text := s.get("/act/"+string(verb)+"?"+query, "Cookie", cookie); !regexp.MustCompile(`<h1>[^<]*\b` + name + `\b`).MatchString(text) {
			t.Errorf("%s %s asks\n%s", verb, name, text)
		}
	}
}

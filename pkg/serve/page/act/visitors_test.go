package act_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A moment in which the cluster does not answer takes nobody's rights: it is said, and the next try succeeds.
func TestTrouble(t *testing.T) {
	s := newTrial(t, false)
	cookie := s.enter(token)
	form := s.form("/act/pause?unit=shop", "Cookie", cookie)
	s.now = s.now.Add(time.Minute)
	s.ada.Trouble = errors.New("etcdserver: leader changed")
	if resp, text := s.get("/unit/shop", "Cookie", cookie); resp.StatusCode != http.StatusOK || strings.Contains(text, "/act/") {
		t.Errorf("in trouble the view has status %d\n%s", resp.StatusCode, text)
	}
	for _, target := range []string{"/act/pause?unit=shop", "/log/lib-main-7", "/enter"} {
		if resp, text := s.get(target, "Cookie", cookie); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, "does not answer who you are") {
			t.Errorf("%s: status %d\n%s", target, resp.StatusCode, text)
		}
	}
	if resp, _ := s.ask(http.MethodPost, "/act/pause", forbidden{t}, "Cookie", cookie); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a form: status %d", resp.StatusCode)
	}
	s.ada.Trouble = nil
	if resp, _ := s.post("/act/pause", form, "Cookie", cookie); resp.StatusCode != http.StatusSeeOther || len(s.ada.Done()) != 1 {
		t.Errorf("after the trouble: status %d", resp.StatusCode)
	}
	s.ada.Name = "" // the token has expired
	s.now = s.now.Add(time.Minute)
	if resp, _ := s.get("/act/pause?unit=shop", "Cookie", cookie); resp.StatusCode != http.StatusNotFound {
		t.Errorf("with a token that has expired: status %d", resp.StatusCode)
	}
}

// Strangers with invented tokens cost the cluster few requests, and whom it knows nothing.
func TestStrangers(t *testing.T) {
	s := newTrial(t, false)
	s.get("/", "Authorization", "Bearer "+token)
	strange := 0
	s.brought = func(given string) {
		if strings.HasPrefix(given, "invented") {
			strange++
		}
	}
	for i := range 1000 {
		s.get("/", "Authorization", fmt.Sprintf("Bearer invented%d", i))
		s.post("/enter", url.Values{"token": {fmt.Sprintf("invented%d", i)}})
	}
	if strange == 0 || strange > 30 {
		t.Errorf("2000 invented tokens were %d questions", strange)
	}
	asked, made := s.ada.Asked(), 0
	s.brought = func(string) { made++ }
	for range 5 {
		if _, text := s.get("/unit/shop", "Authorization", "Bearer "+token); !strings.Contains(text, "/act/trigger") {
			t.Fatal("they pushed somebody out")
		}
	}
	if made != 0 {
		t.Errorf("views of one who is remembered made clients of the cluster %d times", made)
	}
	s.now = s.now.Add(31 * time.Second)
	for i := range 1000 {
		s.get("/", "Authorization", fmt.Sprintf("Bearer invented%d", i))
	}
	if _, text := s.get("/unit/shop", "Authorization", "Bearer "+token); !strings.Contains(text, "/act/trigger") || s.ada.Asked() != asked+1 {
		t.Errorf("asked %d times who she is", s.ada.Asked()-asked)
	}
	if resp, _ := s.get("/act/pause?unit=shop", "Authorization", "Bearer "+other); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one more who is new: status %d", resp.StatusCode)
	}
	s.now = s.now.Add(time.Minute)
	if resp, _ := s.get("/act/cancel?run=lib-main-7", "Authorization", "Bearer "+other); resp.StatusCode != http.StatusOK {
		t.Errorf("one more who is new, later: status %d", resp.StatusCode)
	}
}

// A session is of the host and the cookie that it began with: nobody plants theirs in the browser of somebody else.
func TestPlantedSession(t *testing.T) {
	s := newTrial(t, false)
	resp, _ := s.post("/enter", url.Values{"token": {other}}, "Host", "localhost", "Origin", "http://localhost")
	_, value, _ := strings.Cut(resp.Cookies()[0].String(), "=")
	value, _, _ = strings.Cut(value, ";")
	for host, cookie := range map[string]string{
		"localhost": "sentry-0", "sentry.example.com": "sentry-0", "127.0.0.1": "sentry-0", "localhost:8082": "sentry-8082", "LOCALHOST": "__Host-sentry-0",
	} {
		resp, _ := s.get("/act/cancel?run=lib-main-7", "Host", host, "Cookie", cookie+"="+value, "Sec-Fetch-Site", "same-origin")
		if want := map[bool]int{true: http.StatusOK, false: http.StatusNotFound}[host == "localhost"]; resp.StatusCode != want {
			t.Errorf("at %s as %s: status %d, want %d", host, cookie, resp.StatusCode, want)
		}
	}
}

// A form does its thing once, also where that was undone meanwhile. One that failed may be sent again.
func TestOnce(t *testing.T) {
	s := newTrial(t, false)
	cookie := s.enter(token)
	form := s.form("/act/pause?unit=shop", "Cookie", cookie)
	s.ada.Err = errors.New("the state was written by somebody else")
	s.post("/act/pause", form, "Cookie", cookie)
	s.ada.Err = nil
	for range 3 {
		resp, _ := s.post("/act/pause", form, "Cookie", cookie)
		if at := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || at != "/unit/shop" {
			t.Errorf("status %d, to %q", resp.StatusCode, at)
		}
	}
	if n := len(s.ada.Done()); n != 1 {
		t.Errorf("it was done %d times", n)
	}
}

// Nothing is done by what is known when it cannot be read again.
func TestOldFacts(t *testing.T) {
	s := newTrial(t, false)
	cookie := s.enter(token)
	form := s.form("/act/cancel?run=lib-main-7", "Cookie", cookie)
	s.source.Err = errors.New("the API server is away")
	s.now = s.now.Add(10 * time.Second)
	if resp, _ := s.get("/unit/shop"); resp.StatusCode != http.StatusOK {
		t.Errorf("the view: status %d", resp.StatusCode)
	}
	if resp, text := s.post("/act/cancel", form, "Cookie", cookie); resp.StatusCode != http.StatusConflict || len(s.ada.Done()) > 0 || !strings.Contains(text, "cannot be read") {
		t.Errorf("status %d, did %v", resp.StatusCode, s.ada.Done())
	}
}

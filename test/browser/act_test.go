package browser

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/tekton-sentry/sentry/pkg/serve/page/act"
	"github.com/tekton-sentry/sentry/pkg/serve/page/pagetest"
)

// acting serves a page on which people act, which ends with the test.
func acting(t *testing.T, s *pagetest.Memory, o act.Options) *httptest.Server {
	t.Helper()
	p := pagetest.Acting(t, s, time.Now, o)
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		server.CloseClientConnections()
		p.Close()
		server.Close()
	})
	return server
}

const startKey = "0123456789abcdef0123456789abcdef"

// everyLook has a view looked at in light and dark, on a telephone and on a desk, and says what is wrong with it.
func everyLook(b *tab, axe, name, address string) {
	b.t.Helper()
	for _, colours := range []string{"light", "dark"} {
		for _, width := range []int64{320, 1440} {
			at := fmt.Sprintf("%s, %s, %d px", name, colours, width)
			call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1, Mobile: width < 600})
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: colours}}})
			if size := b.visit(address); size == 0 || size > 100e3 {
				b.t.Errorf("%s: %.0f bytes on the wire, want some and at most 100 kB", at, size)
			}
			for _, w := range b.take() {
				if !strings.Contains(w, "/run/made-") { // the fake makes none, of which the browser tells late
					b.t.Errorf("%s: %s", at, w)
				}
			}
			eval[int](b, axe)
			for _, v := range eval[[]string](b, violations) {
				b.t.Errorf("%s: axe-core: %s", at, v)
			}
			if over := eval[int64](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); over > 0 {
				b.t.Errorf("%s: the view is %d px wider than the window", at, over)
			}
			picture(b, fmt.Sprintf("%s-%s-%d.png", name, colours, width))
		}
	}
}

// Each thing that can be done is found on its view, asks once in a view that all can use, and is done by the keyboard, with a script and without.
func TestActing(t *testing.T) {
	for name, scripts := range map[string]bool{"with a script": true, "without a script": false} {
		ada := &pagetest.Person{Name: "ada", May: pagetest.All}
		server := acting(t, &pagetest.Memory{Is: pagetest.Small(t, time.Now())}, act.Options{Self: ada, Key: startKey})
		b := open(t)
		axe := script(t)
		b.visit(server.URL + "/enter?key=" + startKey)
		if at := eval[string](b, "location.href"); at != server.URL+"/" {
			t.Errorf("with the key one gets to %q", at)
		}
		if scripts {
			for view, path := range map[string]string{"unit-to-act-on": "/unit/shop", "run-to-act-on": "/run/shop-2", "who-acts": "/enter"} {
				everyLook(b, axe, view, server.URL+path)
			}
		}
		done := 0
		for _, c := range []struct{ verb, from, link, to string }{
			{"trigger", "/unit/shop", "Deploy now", "/run/made-"}, {"rollback", "/unit/shop", "Roll back", "/run/made-"}, {"pause", "/unit/shop", "Pause", "/unit/shop"},
			{"rerun", "/run/shop-2", "Run again", "/run/made-"}, {"rerun-failed", "/run/shop-2", "Run again what failed", "/run/made-"}, {"cancel", "/run/lib-main-7", "Cancel", "/run/lib-main-7"},
		} {
			b.visit(server.URL + c.from)
			address := eval[string](b, fmt.Sprintf(`[...document.querySelectorAll(".acts a")].find(a => a.textContent === %q)?.href ?? ""`, c.link))
			if !strings.HasPrefix(address, server.URL+"/act/"+c.verb+"?") {
				t.Fatalf("%s: %s: on %s the link %q leads to %q", name, c.verb, c.from, c.link, address)
			}
			if scripts {
				everyLook(b, axe, "ask-"+c.verb, address)
			} else {
				call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
				b.visit(address)
			}
			if len(ada.Done()) != done {
				t.Fatalf("%s: %s was done before it was confirmed", name, c.verb)
			}
			run(b, "confirm by the keyboard", chromedp.Steps(chromedp.Focus(chromedp.CSS("button.do")), chromedp.KeyEvent("\r"), chromedp.WaitReady(chromedp.CSS("#main:not([data-still])"))))
			call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{})
			if at := eval[string](b, "location.pathname"); !strings.HasPrefix(at, c.to) {
				t.Errorf("%s: %s leads to %q, want %q", name, c.verb, at, c.to)
			}
			if done++; len(ada.Done()) != done || string(ada.Done()[done-1].Verb) != c.verb {
				t.Fatalf("%s: after %s it did %+v", name, c.verb, ada.Done())
			}
			b.take()
		}
	}
}

// What is asked stays as it is while things change, and is sent once however often one presses.
func TestAskingStays(t *testing.T) {
	ada := &pagetest.Person{Name: "ada", May: pagetest.All}
	memory := &source{Memory: pagetest.Memory{Is: pagetest.Small(t, time.Now())}}
	p := pagetest.Acting(t, memory, time.Now, act.Options{Self: ada, Key: startKey})
	server := httptest.NewServer(p)
	defer server.Close()
	defer server.CloseClientConnections()
	defer p.Close()
	b := open(t)
	b.visit(server.URL + "/enter?key=" + startKey)
	b.visit(server.URL + "/act/pause?unit=shop")
	b.await(`document.getElementById("stream").textContent.startsWith("Brought up to date")`)
	run(b, "type", chromedp.SendKeys(chromedp.CSS("#reason"), "the database moves"))
	form := eval[string](b, `document.querySelector("[name=form]").value`)
	k := *pagetest.Small(t, time.Now())
	k.Past = append(k.Past[:0:0], k.Past...)
	k.Past[0].Name = "shop-after-a-change"
	memory.set(&k)
	seen := another(t, b.Context)
	seen.visit(server.URL + "/runs")
	seen.await(`document.getElementById("main").innerText.includes("shop-after-a-change")`)
	if still := eval[string](b, `document.querySelector("[name=form]").value + document.getElementById("reason").value`); still != form+"the database moves" {
		t.Error("what was written was replaced")
	}
	eval[int](b, `for (let i = 0; i < 3; i++) document.querySelector("button.do").click(); 0`)
	run(b, "wait for the unit", chromedp.WaitReady(chromedp.CSS("#main:not([data-still])")))
	if done := ada.Done(); len(done) != 1 || done[0].Reason != "the database moves" {
		t.Errorf("it did %+v", done)
	}
}

// A token is entered and left in the cluster's page, whose cookie no script sees, and what is made up of it is sound for all.
func TestEntering(t *testing.T) {
	ada := &pagetest.Person{Name: "ada", May: pagetest.All}
	server := acting(t, &pagetest.Memory{Is: pagetest.Small(t, time.Now())}, act.Options{Bring: func(token string) (act.Person, error) {
		if token == "token-of-ada" {
			return ada, nil
		}
		return &pagetest.Person{}, nil
	}})
	b := open(t)
	everyLook(b, script(t), "enter", server.URL+"/enter")
	b.visit(server.URL + "/enter")
	run(b, "enter", chromedp.Steps(chromedp.SendKeys(chromedp.CSS("#token"), "token-of-ada"), chromedp.KeyEvent("\r"), chromedp.WaitVisible(chromedp.Search(`//strong[.="ada"]`))))
	if got := eval[string](b, "document.cookie"); got != "" {
		t.Errorf("a script reads the cookie: %q", got)
	}
	cookies := call(b, network.GetCookies, network.GetCookiesParams{}).Cookies
	if len(cookies) != 1 || !cookies[0].HTTPOnly || cookies[0].SameSite != network.CookieSameSiteStrict || !cookies[0].Session {
		t.Errorf("the cookies are %+v", cookies)
	}
	b.visit(server.URL + "/unit/shop")
	if !eval[bool](b, `!!document.querySelector(".acts")`) {
		t.Error("who entered finds nothing to do")
	}
	b.visit(server.URL + "/enter")
	run(b, "leave", chromedp.Steps(chromedp.Focus(chromedp.CSS(".acts button")), chromedp.KeyEvent("\r"), chromedp.WaitReady(chromedp.CSS("#main:not([data-still])"))))
	b.visit(server.URL + "/unit/shop")
	if eval[bool](b, `!!document.querySelector(".acts")`) {
		t.Error("who left finds something to do")
	}
}

// A site of another port, which browsers take for the same one and send a strict cookie to, can neither press a button nor frame one.
func TestOtherPort(t *testing.T) {
	ada := &pagetest.Person{Name: "ada", May: pagetest.All}
	server := acting(t, &pagetest.Memory{Is: pagetest.Small(t, time.Now())}, act.Options{Self: ada, Key: startKey})
	b := open(t)
	b.visit(server.URL + "/enter?key=" + startKey)
	b.visit(server.URL + "/act/cancel?run=lib-main-7")
	form := eval[string](b, `document.querySelector("[name=form]").value`) // as if it had been found out
	evil := acting(t, &pagetest.Memory{Is: pagetest.Small(t, time.Now())}, act.Options{Self: &pagetest.Person{}, Key: startKey})
	b.visit(evil.URL + "/")
	b.take()
	eval[string](b, fmt.Sprintf(`fetch(%q, {method: "POST", mode: "no-cors", credentials: "include", headers: {"Content-Type": "application/x-www-form-urlencoded"}, body: new URLSearchParams({form: %q})}).then(r => r.type, e => "refused")`,
		server.URL+"/act/cancel", form))
	if len(ada.Done()) > 0 {
		t.Error("another port had something done by a script")
	}
	other := httptest.NewServer(plain(fmt.Sprintf(`<!doctype html><title>other</title><main id="main"><form id="f" method="post" action="%s/act/cancel"><input name="form" value="%s"><button>Win</button></form></main>`, server.URL, form)))
	defer other.Close()
	b.visit(other.URL + "/")
	run(b, "press the button", chromedp.Steps(chromedp.Focus(chromedp.CSS("#f button")), chromedp.KeyEvent("\r"),
		chromedp.WaitVisible(chromedp.Search(`//pre[contains(., "Another site asks for this")]`))))
	if len(ada.Done()) > 0 {
		t.Error("another port had something done by a form")
	}
}

// A log is added to as it comes, as text.
func TestLog(t *testing.T) {
	ada := &pagetest.Person{Name: "ada", May: pagetest.All, Printed: []string{"[web : deploy] it begins", "[web : deploy] " + pagetest.Script, "[web : deploy] it ends"}}
	server := acting(t, &pagetest.Memory{Is: pagetest.Small(t, time.Now())}, act.Options{Self: ada, Key: startKey})
	b := open(t)
	b.visit(server.URL + "/enter?key=" + startKey)
	everyLook(b, script(t), "log", server.URL+"/log/lib-main-7")
	b.visit(server.URL + "/log/lib-main-7")
	b.await(`document.getElementById("logstate").textContent === "The run has ended."`)
	if got := eval[string](b, `document.querySelector("pre.log").textContent`); got != strings.Join(ada.Printed, "\n")+"\n" {
		t.Errorf("it is\n%s", got)
	}
	for _, w := range b.take() {
		t.Error(w)
	}
}

// plain answers everything with some HTML.
func plain(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, text)
	}
}

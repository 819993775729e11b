// Package browser has the page shown by a real browser: what people and their aids meet there, and what no test of HTML sees.
package browser

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/tekton-sentry/sentry/pkg/engine"
	sentry "github.com/tekton-sentry/sentry/pkg/serve/page"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/serve/page/pagetest"
)

// patience is how long a browser may take for what it is waited for.
const patience = 30 * time.Second

// programs are the browser and the script of axe-core.
var programs = sync.OnceValues(func() ([]string, error) {
	c := exec.Command("./programs.sh")
	c.Stderr = os.Stderr
	out, err := c.Output()
	lines := strings.Fields(string(out))
	if err == nil && len(lines) != 2 {
		err = fmt.Errorf("programs.sh printed %q, want two paths", out)
	}
	return lines, err
})

// source is what is shown; it may be changed meanwhile.
type source struct {
	mu sync.Mutex
	pagetest.Memory
}

// Known implements page.Source.
func (s *source) Known(ctx context.Context) (*facts.Known, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Memory.Known(ctx)
}

func (s *source) set(k *facts.Known) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Is = k
}

// serve serves a page of it on this machine.
func serve(t *testing.T, s sentry.Source) *httptest.Server {
	t.Helper()
	p := pagetest.New(t, s, time.Now)
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		server.CloseClientConnections() // a stream does not end by itself
		p.Close()
		server.Close()
	})
	return server
}

// tab is one tab of a browser, and what went wrong in it.
type tab struct {
	context.Context
	t *testing.T

	mu    sync.Mutex
	wrong []string
	bytes float64 // that came over the wire since the last view was asked for
	asked []string
}

// open starts a browser, with one tab.
func open(t *testing.T) *tab {
	t.Helper()
	found, err := programs()
	if err != nil {
		t.Fatalf("get the browser: %v", err)
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(found[0]), chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir())}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses its own to root
	}
	return another(t, t.Context(), chromedp.WithAllocatorOptions(options...))
}

// another opens a tab of the browser that a tab belongs to, or the first one of a new browser.
func another(t *testing.T, ctx context.Context, options ...chromedp.ContextOption) *tab {
	t.Helper()
	b := &tab{t: t}
	var end context.CancelFunc
	b.Context, end = chromedp.NewContext(ctx, append(options, chromedp.WithListener(b.hear))...)
	t.Cleanup(end)
	if err := chromedp.Do(b); err != nil { // its time is that of the browser
		t.Fatalf("open a tab: %v", err)
	}
	return b
}

// hear takes note of what the browser tells.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.wrong = append(b.wrong, fmt.Sprintf("exception: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		b.wrong = append(b.wrong, fmt.Sprintf("console.%s: %v", e.Type, e.Args))
	case *log.EventEntryAdded:
		b.wrong = append(b.wrong, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *page.EventJavascriptDialogOpening:
		b.wrong = append(b.wrong, "a dialog: "+e.Message)
		go func() { _, _ = chromedp.Call(b, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{}) }()
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, e.Request.URL)
	case *network.EventLoadingFinished:
		b.bytes += e.EncodedDataLength
	}
}

// run has the browser do something within the time that it may take.
func run[T any](b *tab, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
	return value
}

// call calls a command of the browser.
func call[P, R any](b *tab, command cdp.Command[P, R], parameters P) R {
	b.t.Helper()
	return run(b, command.Method, func(ctx context.Context, _ *chromedp.Target) (R, error) {
		return chromedp.Call(ctx, command, parameters)
	})
}

// take returns what went wrong since it was asked last.
func (b *tab) take() (wrong []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wrong, b.wrong = b.wrong, nil
	return wrong
}

// visit shows a view, and returns how many bytes that took on the wire with nothing in the cache.
func (b *tab) visit(address string) float64 {
	b.t.Helper()
	b.mu.Lock()
	b.bytes, b.asked = 0, nil
	b.mu.Unlock()
	call(b, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true})
	run(b, "show "+address, chromedp.Steps(chromedp.Navigate(address), chromedp.WaitReady(chromedp.CSS("#main"))))
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// eval evaluates an expression, which may be a promise.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return run(b, "evaluate "+expression[:min(len(expression), 80)], chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// await waits until an expression is true.
func (b *tab) await(expression string) {
	b.t.Helper()
	run(b, "wait for "+expression, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(patience)))
}

// violations are what axe-core finds wrong in what is shown, each with the first element where it is.
const violations = `axe.run().then(r => r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.map(n => n.html.slice(0, 200) + " " + n.failureSummary).slice(0, 3).join(" | ")))`

// views are all that the small Sentry has, each kind at least once.
var views = map[string]string{
	"units": "/", "runs": "/runs", "repositories": "/repositories", "hosts": "/hosts", "unit-in-waves": "/unit/shop", "unit-as-graph": "/unit/platform",
	"unit-alone": "/unit/lib.main", "repository": "/repository/lib", "repository-in-trouble": "/repository/docs", "run-that-failed": "/run/shop-2",
	"run-that-works": "/run/lib-main-7", "search": "/search?q=o", "nothing": "/none",
	"replicas": "/replicas", "problems": "/problems", "configuration": "/configuration", "configuration-refused": "/configuration/refused",
}

// Every view can be used by all, in light and dark, on a telephone and on a desk: axe-core finds nothing, the console is empty, nothing is
// cut off, and each takes less than 100 kB. With SENTRY_SCREENSHOTS=DIR each is kept as a picture.
func TestEveryView(t *testing.T) {
	server := serve(t, &pagetest.Memory{Is: pagetest.Refused(t, time.Now())})
	b := open(t)
	axe := script(t)
	for name, path := range views {
		for _, colours := range []string{"light", "dark"} {
			for _, width := range []int64{320, 1440} {
				at := fmt.Sprintf("%s, %s, %d px", name, colours, width)
				call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1, Mobile: width < 600})
				call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: colours}}})
				if size := b.visit(server.URL + path); size == 0 || size > 100e3 {
					t.Errorf("%s: %.0f bytes on the wire, want some and at most 100 kB", at, size)
				}
				for _, w := range b.take() {
					if !strings.Contains(w, "404") || !strings.HasSuffix(w, server.URL+views["nothing"]) { // the browser tells of that
						t.Errorf("%s: %s", at, w)
					}
				}
				eval[int](b, axe)
				for _, v := range eval[[]string](b, violations) {
					t.Errorf("%s: axe-core: %s", at, v)
				}
				if over := eval[int64](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); over > 0 {
					t.Errorf("%s: the view is %d px wider than the window", at, over)
				}
				picture(b, fmt.Sprintf("%s-%s-%d.png", name, colours, width))
			}
		}
	}
}

// script returns axe-core.
func script(t *testing.T) string {
	t.Helper()
	found, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + ";0"
}

// picture keeps what is shown, where that is asked for.
func picture(b *tab, name string) {
	dir := os.Getenv("SENTRY_SCREENSHOTS")
	if dir == "" {
		return
	}
	data := run(b, "take a picture", chromedp.FullScreenshot(100))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// Two tabs show the same as it changes, and go on after their streams have broken.
func TestUpToDate(t *testing.T) {
	s := &source{Memory: pagetest.Memory{Is: pagetest.Small(t, time.Now())}}
	server := serve(t, s)
	first := open(t)
	second := another(t, first.Context)
	told := `document.getElementById("stream").textContent.startsWith("Brought up to date")`
	for _, b := range []*tab{first, second} {
		b.visit(server.URL + "/runs")
		b.await(told)
	}
	// A window that is not in front counts as hidden, and listens to nothing.
	next := func(name string) {
		k := *pagetest.Small(t, time.Now())
		k.Past = append(k.Past[:0:0], k.Past...)
		k.Past[0].Name = name
		s.set(&k)
		for _, b := range []*tab{first, second} {
			call(b, page.BringToFront, cdp.Empty{})
			b.await(fmt.Sprintf("document.getElementById('main').innerText.includes(%q)", name))
		}
	}
	next("shop-after-a-change")
	first.take()
	second.take()
	server.CloseClientConnections()
	next("shop-after-a-break")
	for _, b := range []*tab{first, second} {
		b.await(told)
		for _, w := range b.take() {
			if !strings.Contains(w, "ERR_INCOMPLETE_CHUNKED_ENCODING") && !strings.Contains(w, "ERR_CONNECTION") { // of the break
				t.Error(w)
			}
		}
	}
}

// Any of 10,000 repositories is found as its name is typed, and no view asks another host.
func TestSearchAsTyped(t *testing.T) {
	server := serve(t, &pagetest.Memory{Is: pagetest.Large(t, time.Now(), 10_000, 1_000)})
	b := open(t)
	b.visit(server.URL + "/")
	run(b, "type", chromedp.SendKeys(chromedp.CSS("#q"), "service-07321"))
	b.await(`[...document.querySelectorAll("#main a")].some(a => a.getAttribute("href") === "/repository/service-07321")`)
	if at := eval[string](b, "location.pathname + location.search"); at != "/search?q=service-07321" {
		t.Errorf("the address is %q, want one that can be passed on", at)
	}
	run(b, "go there by the keyboard", chromedp.Steps(chromedp.Focus(chromedp.CSS(`#main a[href="/repository/service-07321"]`)),
		chromedp.KeyEvent("\r"), chromedp.WaitVisible(chromedp.Search(`//h1[contains(., "service-07321")]`))))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, address := range b.asked {
		if !strings.HasPrefix(address, server.URL+"/") {
			t.Errorf("it asked for %s", address)
		}
	}
	if len(b.wrong) > 0 {
		t.Errorf("went wrong: %q", b.wrong)
	}
}

// The keyboard gets to the content at once, and a view reads without a script as with one.
func TestWithoutMouseAndScript(t *testing.T) {
	server := serve(t, &pagetest.Memory{Is: pagetest.Small(t, time.Now())})
	b := open(t)
	b.visit(server.URL + "/")
	run(b, "press tab", chromedp.KeyEvent("\t"))
	if got := eval[string](b, "document.activeElement.innerText"); got != "Skip to the content" {
		t.Errorf("the first that has the focus is %q, want what skips to the content", got)
	}
	run(b, "press enter", chromedp.KeyEvent("\r"))
	b.await(`document.activeElement.id === "main"`)
	with := words(b)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.visit(server.URL + "/")
	if without := words(b); with != without {
		t.Errorf("with a script it reads\n%s\nwithout one\n%s", with, without)
	}
}

// words returns what there is to read in the main part of a view, but for times.
func words(b *tab) string {
	html := run(b, "read the view", chromedp.OuterHTML(chromedp.CSS("#main")))
	var out bytes.Buffer
	for inside := 0; html != ""; {
		switch {
		case strings.HasPrefix(html, "<time"):
			html = html[strings.Index(html, "</time>")+len("</time>"):]
			continue
		case html[0] == '<':
			inside++
		case html[0] == '>':
			inside--
			out.WriteByte(' ')
		case inside == 0:
			out.WriteByte(html[0])
		}
		html = html[1:]
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// What others write runs nowhere, and changes nothing of a view: axe-core still finds the views sound.
func TestStoredScript(t *testing.T) {
	server := serve(t, &pagetest.Memory{Is: pagetest.Hostile(t, time.Now()), Out: engine.Outcome{Tasks: []engine.Task{
		{Name: pagetest.Script, Message: pagetest.Script, Output: []string{pagetest.Script}},
	}}})
	b := open(t)
	axe := script(t)
	at := url.PathEscape(pagetest.Script)
	for _, path := range []string{
		"/", "/runs", "/hosts", "/repositories", "/unit/" + at, "/run/" + at, "/run/a-" + at, "/repository/web", "/search?q=" + url.QueryEscape(pagetest.Script),
		"/replicas", "/problems", "/configuration", "/configuration?file=2", "/configuration/refused", "/configuration/refused?file=2",
	} {
		b.visit(server.URL + path)
		if !eval[bool](b, `document.body.innerText.includes("<script>alert(1)</script>")`) {
			t.Errorf("%s: nothing of what others wrote is shown", path)
		}
		eval[int](b, axe)
		for _, v := range eval[[]string](b, violations) {
			t.Errorf("%s: axe-core: %s", path, v)
		}
		for _, w := range b.take() {
			t.Errorf("%s: %s", path, w)
		}
	}
}

// Another site can neither frame a view nor read one.
func TestOtherSites(t *testing.T) {
	server := serve(t, &pagetest.Memory{Is: pagetest.Small(t, time.Now())})
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><title>other</title><main id="main"><iframe id="f" src="%s/"></iframe></main>`, server.URL)
	}))
	defer other.Close()
	b := open(t)
	b.visit(other.URL + "/")
	b.await(`document.readyState === "complete"`)
	frames := call(b, page.GetFrameTree, cdp.Empty{}).FrameTree
	for _, f := range frames.ChildFrames {
		if strings.HasPrefix(f.Frame.URL, server.URL) {
			t.Errorf("another site has %s in a frame", f.Frame.URL)
		}
	}
	if got := eval[string](b, fmt.Sprintf(`fetch("%s/api/v1/units").then(r => r.text(), e => "refused")`, server.URL)); got != "refused" {
		t.Errorf("another site read %.200q", got)
	}
	if got := eval[string](b, fmt.Sprintf(`fetch("%s/api/v1/units", {mode: "no-cors"}).then(r => r.type + " " + r.status, e => "refused")`, server.URL)); got != "refused" {
		t.Errorf("another site got %q, want nothing", got)
	}
}

package e2e

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"gopkg.in/yaml.v3"
)

// operator is a browser in which somebody has entered a page with the token of a ServiceAccount.
type operator struct {
	*http.Client
	t       *testing.T
	address string
}

// operator makes an account that is bound to the roles, of the namespace, and enters with its token.
func (p *podTrial) operator(address, name string, roles ...string) *operator {
	p.t.Helper()
	kubectl(p.t, "-n", p.ns, "create", "serviceaccount", name)
	for _, role := range roles {
		kubectl(p.t, "-n", p.ns, "create", "rolebinding", name+"-"+role, "--role="+role, "--serviceaccount="+p.ns+":"+name)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	o := &operator{&http.Client{Jar: jar, Timeout: time.Minute}, p.t, address}
	token := strings.TrimSpace(kubectl(p.t, "-n", p.ns, "create", "token", name))
	if status, text := o.post("/enter", url.Values{"token": {token}}); status != http.StatusOK || !strings.Contains(text, "system:serviceaccount:"+p.ns+":"+name) {
		p.t.Fatalf("entering as %s: status %d\n%s", name, status, text)
	}
	return o
}

func (o *operator) send(r *http.Request, err error) (int, string) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
	r.Header.Set("Origin", "http://"+o.address)
	resp, err := o.Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func (o *operator) get(path string) (int, string) {
	o.t.Helper()
	return o.send(http.NewRequestWithContext(o.t.Context(), http.MethodGet, "http://"+o.address+path, nil))
}

func (o *operator) post(path string, form url.Values) (int, string) {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, "http://"+o.address+path, strings.NewReader(form.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return o.send(r, err)
}

// form returns what confirms that something is done.
func (o *operator) form(path string) url.Values {
	o.t.Helper()
	status, text := o.get(path)
	found := regexp.MustCompile(`name="form" value="([^"]*)"`).FindStringSubmatch(text)
	if status != http.StatusOK || found == nil {
		o.t.Fatalf("%s: status %d\n%s", path, status, text)
	}
	return url.Values{"form": {html.UnescapeString(found[1])}}
}

// does has something done, and returns what is shown then.
func (o *operator) does(verb, query string) string {
	o.t.Helper()
	status, text := o.post("/act/"+verb, o.form("/act/"+verb+"?"+query))
	if status != http.StatusOK {
		o.t.Fatalf("%s %s: status %d\n%s", verb, query, status, text)
	}
	return text
}

// The page of a Sentry at work, which has no more rights than the manifests give, does what somebody's token may, in their name, and nothing for whose token
// may not. The rights are those that docs/page.md lists.
func TestPageActions(t *testing.T) {
	t.Parallel()
	p := newPodTrial(t, "sentry-page-acts")
	file := p.file("{}", `commands: ['echo "it begins"', 'sleep 5; echo "it ends"']`)
	account := (&pollerAccount{t: t, ns: p.ns, role: pollerRole(t)}).kubeconfig("poller")
	sentry := watch(t, file, p.ns, account, "--page", "127.0.0.1:0", "--page-tokens")
	sentry.awaitSaid("cycle done")
	address := regexp.MustCompile(`serving the page.*address=([^\]\s]+)`).FindStringSubmatch(sentry.said())
	if address == nil {
		t.Fatalf("it is served nowhere:\n%s", sentry.said())
	}
	roles(t, p.ns)
	may := p.operator(address[1], "ada", "operator-runs", "operator-state")
	mayNot := p.operator(address[1], "eve")

	p.repo.push("main", map[string]string{"pushed": "once"})
	await(t, 2*time.Minute, "the run of the push to have succeeded", func() (bool, string) {
		_, text := may.get("/unit/web.main")
		return strings.Contains(text, "/act/rollback") && strings.Contains(text, "succeeded"), text
	})
	runs := func() []v1.PipelineRun { return get[v1.PipelineRunList](t, "-n", p.ns, "pipelineruns").Items }
	before := len(runs())

	// Who may not: no button, no form, and the form of somebody else does nothing.
	for _, path := range []string{"/", "/unit/web.main", "/run/" + runs()[0].Name} {
		if _, text := mayNot.get(path); strings.Contains(text, "/act/") || strings.Contains(text, "/log/") {
			t.Errorf("%s offers something to who may nothing:\n%s", path, text)
		}
	}
	form := may.form("/act/trigger?unit=web.main")
	for _, verb := range []string{"trigger", "rollback", "pause", "resume", "rerun", "rerun-failed", "cancel"} {
		got, _ := mayNot.get("/act/" + verb + "?unit=web.main&run=" + runs()[0].Name)
		if posted, _ := mayNot.post("/act/"+verb, form); got != http.StatusNotFound || posted != http.StatusForbidden {
			t.Errorf("who may nothing: %s: GET %d, POST %d", verb, got, posted)
		}
	}
	if n := len(runs()); n != before {
		t.Fatalf("there are %d runs, want %d", n, before)
	}

	// Who may: a run, once, however often the form is sent, whose log comes as it is printed.
	for range 2 {
		if status, text := may.post("/act/trigger", form); status != http.StatusOK {
			t.Fatalf("trigger: status %d\n%s", status, text)
		}
	}
	byHand := runs()
	if len(byHand) != before+1 {
		t.Fatalf("a form that was sent twice made %d runs", len(byHand)-before)
	}
	name := newest(byHand)
	who := fmt.Sprintf("system:serviceaccount:%s:ada", p.ns)
	if text := kubectl(t, "-n", p.ns, "get", "pipelinerun", name, "-o", "json"); !strings.Contains(text, who) {
		t.Errorf("the run does not name who asked for it:\n%s", text)
	}
	if text := run(t, "", "sh", "-c", env.audit); !audits([]byte(text), who, `"verb":"create"`, `"resource":"pipelineruns"`, name) {
		t.Errorf("the audit log of the API server has no creation of %s by %s", name, who)
	}
	_, stream := may.get("/log/" + name + "/events")
	if !strings.Contains(stream, "data: [web : deploy] it begins\n") || !strings.Contains(stream, "data: [web : deploy] it ends\n") || !strings.Contains(stream, "event: end") {
		t.Errorf("the log is told as\n%s", stream)
	}
	if _, text := may.get("/log/" + name); !strings.Contains(text, "[web : deploy] it ends") {
		t.Errorf("the log is\n%s", text)
	}

	// A pause holds a push, and a resume lets it go; what runs is cancelled.
	if text := may.does("pause", "unit=web.main"); !strings.Contains(text, "/act/resume") {
		t.Errorf("after the pause it shows\n%s", text)
	}
	p.repo.push("main", map[string]string{"pushed": "twice"})
	sentry.awaitSaid("audit=paused")
	held := len(runs())
	may.does("resume", "unit=web.main")
	await(t, 2*time.Minute, "the run of what was held", func() (bool, string) { return len(runs()) > held, sentry.said() })
	running := newest(runs())
	await(t, time.Minute, "the page to know the run", func() (bool, string) {
		_, text := may.get("/run/" + running)
		return strings.Contains(text, "/act/cancel"), text
	})
	may.does("cancel", "run="+running)
	await(t, time.Minute, "the run to be cancelled by ada", func() (bool, string) {
		_, text := may.get("/run/" + running)
		return strings.Contains(text, "cancelled by "+who), text
	})
	for _, want := range []string{"audit=created by=trigger who=" + who, "audit=cancelled by=cancel who=" + who, "audit=resumed by=resume who=" + who} {
		if said := strings.NewReplacer("[", "", "]", "").Replace(sentry.said()); !strings.Contains(said, want) {
			t.Errorf("Sentry's log has no %q:\n%s", want, said)
		}
	}
}

// newest returns the name of the newest run.
func newest(runs []v1.PipelineRun) string {
	last := runs[0]
	for _, r := range runs {
		if r.CreationTimestamp.After(last.CreationTimestamp.Time) {
			last = r
		}
	}
	return last.Name
}

// audits reports whether a line of an audit log has all texts.
func audits(log []byte, texts ...string) bool {
	for line := range bytes.Lines(log) {
		all := true
		for _, text := range texts {
			all = all && bytes.Contains(line, []byte(text))
		}
		if all {
			return true
		}
	}
	return false
}

// roles makes the Roles that docs/page.md lists, in one namespace: operator-runs and operator-state.
func roles(t *testing.T, ns string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/page.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("docs/page.md lists no Roles")
	}
	names := []string{"operator-runs", "operator-state"}
	documents := yaml.NewDecoder(bytes.NewReader(block[1]))
	for _, name := range names {
		var role map[string]any
		if err := documents.Decode(&role); err != nil {
			t.Fatal(err)
		}
		role["metadata"] = map[string]any{"name": name, "namespace": ns}
		out, err := yaml.Marshal(role)
		if err != nil {
			t.Fatal(err)
		}
		apply(t, string(out))
	}
}

package notify

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

func member(name, url string) plan.Member {
	return plan.Member{Repository: &config.Repository{Name: name, WebhookURL: config.NewValue(url, url)}}
}

func TestCreated(t *testing.T) {
	var got []Message
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s with %v: %v", r.Method, r.Header, err)
		}
		got = append(got, m)
		switch r.URL.Path {
		case "/broken":
			w.WriteHeader(http.StatusTeapot)
		case "/away":
			http.Redirect(w, r, "/good", http.StatusTemporaryRedirect)
		}
	}))
	defer server.Close()
	run := plan.Run{
		Name: "shop-0123456789", Unit: plan.Unit{Label: "shop"},
		Trigger: plan.Trigger{Refs: []plan.Change{{Ref: repo.Ref{Repository: "a", Branch: "main"}, N: 1, New: "b"}}},
		Members: []plan.Member{
			member("a", server.URL+"/good?key=hush"), member("b", server.URL+"/good?key=hush"), member("c", ""),
			member("d", server.URL+"/broken?key=hush"), member("e", server.URL+"/away?key=hush"), member("f", "http://127.0.0.1:1/?key=hush"),
		},
	}
	errs := Created(t.Context(), NewClient(), run)
	if len(got) != 3 {
		t.Fatalf("%d messages, want one for each URL that answers, and none after a redirect", len(got))
	}
	if m := got[0]; m.Run != run.Name || m.Unit != "shop" || len(m.Refs) != 1 || m.Refs[0].Branch != "main" || !strings.Contains(m.Text, run.Name) {
		t.Errorf("message %+v does not tell the run", m)
	}
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Error())
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("the error tells the URL's secret: %v", err)
		}
	}
	want := []string{"repository d", "418", "repository e", "307", "repository f", "127.0.0.1:1"}
	all := strings.Join(texts, "\n")
	for _, w := range want {
		if !strings.Contains(all, w) {
			t.Errorf("the errors lack %q:\n%s", w, all)
		}
	}
	if len(errs) != 3 {
		t.Errorf("%d errors, want 3:\n%s", len(errs), all)
	}
}

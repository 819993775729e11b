// Package hooks is what every host promises that manages webhooks, as one test that each runs in its own folder.
package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Kind is a kind of host under test.
type Kind struct {
	Driver githost.Driver
	New    func() *githosttest.API
	// Foreign makes a webhook that tells an address of all that Sentry needs.
	Foreign func(address string) map[string]any
	// Wrong are changes to such a webhook, by what Hook.Wrong says of it.
	Wrong map[string]func(body map[string]any)
}

const (
	token = "admin-token-xyzzy"
	path  = "team/app"
)

type server struct {
	*githosttest.API
	url string
}

func (k Kind) serve(t *testing.T) server {
	t.Helper()
	api := k.New()
	api.SetToken(token)
	api.Create(path)
	s := httptest.NewServer(api)
	t.Cleanup(s.Close)
	return server{api, s.URL}
}

func (k Kind) open(t *testing.T, s server, withToken string) githost.Hooks {
	t.Helper()
	source := config.Source{URL: s.url + "/" + path, Type: k.Driver.Type}
	if k.Driver.Type == config.GitHub {
		source.APIURL = s.url
	}
	if withToken != "" {
		source.Auth.Token = secret.New("${T}", withToken)
	}
	base := transport.NewTransport()
	t.Cleanup(base.CloseIdleConnections)
	host, err := k.Driver.Open(githost.Endpoint{Account: k.Driver.AccountOf(source), Auth: source.Auth}, transport.NewClient(base, "test", time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	hooks, ok := host.(githost.Hooks)
	if !ok {
		t.Fatalf("%T manages no webhooks", host)
	}
	return hooks
}

// Test runs the test.
func Test(t *testing.T, k Kind) {
	t.Run("made, changed and deleted", func(t *testing.T) { k.life(t) })
	t.Run("one that cannot be changed stays", func(t *testing.T) { k.refused(t) })
	t.Run("all pages are read", func(t *testing.T) { k.pages(t) })
	t.Run("what is wrong is told", func(t *testing.T) { k.wrong(t) })
	t.Run("what a token lacks is told", func(t *testing.T) { k.rights(t) })
}

func (k Kind) life(t *testing.T) {
	s := k.serve(t)
	h, app := k.open(t, s, token), s.url+"/"+path
	list := func() []githost.Hook {
		t.Helper()
		hooks, err := h.Hooks(t.Context(), app+".git")
		if err != nil {
			t.Fatal(err)
		}
		return hooks
	}
	if got := list(); len(got) != 0 {
		t.Fatalf("at first: %+v", got)
	}
	for i, secret := range []string{"first-secret", "second-secret"} {
		id, address := int64(0), fmt.Sprintf("https://sentry.example/%d", i)
		if now := list(); len(now) > 0 {
			id = now[0].ID
		}
		if err := h.SaveHook(t.Context(), app, id, address, secret); err != nil {
			t.Fatal(err)
		}
		got := list()
		if len(got) != 1 || got[0].Address != address || len(got[0].Wrong) > 0 || got[0].ID == 0 {
			t.Fatalf("saved %d times: %+v", i+1, got)
		}
		if stored := text(s.HooksOf(path)); !strings.Contains(stored, secret) || i > 0 && strings.Contains(stored, "first-secret") {
			t.Errorf("saved %d times, the host has %s", i+1, stored)
		}
	}
	if err := h.DeleteHook(t.Context(), app, list()[0].ID); err != nil {
		t.Fatal(err)
	}
	if got := list(); len(got) != 0 {
		t.Errorf("after the deletion: %+v", got)
	}
}

// refused has the host refuse a change, as it does when it is in trouble in between: what there was goes on to tell of pushes.
func (k Kind) refused(t *testing.T) {
	api := k.New()
	api.SetToken(token)
	api.Create(path)
	var refuse atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse.Load() && r.Method != http.MethodGet && r.Method != http.MethodDelete {
			http.Error(w, "{}", http.StatusUnprocessableEntity)
			return
		}
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	h, app := k.open(t, server{api, s.URL}, token), s.URL+"/"+path
	if err := h.SaveHook(t.Context(), app, 0, "https://sentry.example/", "first-secret"); err != nil {
		t.Fatal(err)
	}
	there, err := h.Hooks(t.Context(), app)
	if err != nil || len(there) != 1 {
		t.Fatalf("%+v, %v, want one", there, err)
	}
	refuse.Store(true)
	err = h.SaveHook(t.Context(), app, there[0].ID, "https://sentry.example/", "second-secret")
	if left := api.HooksOf(path); err == nil || len(left) != 1 {
		t.Errorf("a change that was refused: %v, and the host has %s, want the webhook that there was", err, text(left))
	}
}

func (k Kind) pages(t *testing.T) {
	s := k.serve(t)
	const many = 130
	for i := range many {
		s.AddHook(path, k.Foreign(fmt.Sprintf("https://other.example/%d", i)))
	}
	got, err := k.open(t, s, token).Hooks(t.Context(), s.url+"/"+path)
	if err != nil || len(got) != many || got[many-1].Address != fmt.Sprintf("https://other.example/%d", many-1) {
		t.Fatalf("%d webhooks, %v; want %d", len(got), err, many)
	}
	for i := range 5_000 {
		s.AddHook(path, k.Foreign(fmt.Sprintf("https://other.example/%d", many+i)))
	}
	if got, err := k.open(t, s, token).Hooks(t.Context(), s.url+"/"+path); err == nil {
		t.Errorf("of more than are read %d came without an error", len(got))
	}
}

func (k Kind) wrong(t *testing.T) {
	for what, change := range k.Wrong {
		s := k.serve(t)
		body := k.Foreign("https://sentry.example/")
		change(body)
		s.AddHook(path, body)
		got, err := k.open(t, s, token).Hooks(t.Context(), s.url+"/"+path)
		if err != nil || len(got) != 1 || !slices.Equal(got[0].Wrong, []string{what}) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
}

func (k Kind) rights(t *testing.T) {
	s := k.serve(t)
	s.Create("team/secret")
	s.SetDenied("team/secret")
	for name, tt := range map[string]struct {
		token, path string
		kind        githost.Kind
	}{
		"no right":      {token, "team/secret", githost.Denied},
		"no repository": {token, "team/other", githost.NotFound},
		"another token": {"another", path, githost.Denied},
		"no token":      {"", path, githost.Denied},
	} {
		h := k.open(t, s, tt.token)
		_, err := h.Hooks(t.Context(), s.url+"/"+tt.path)
		saved := h.SaveHook(t.Context(), s.url+"/"+tt.path, 0, "https://sentry.example/", "the-secret")
		for _, err := range []error{err, saved} {
			said, ok := errors.AsType[*githost.Error](err)
			if !ok || said.Kind != tt.kind || !strings.Contains(err.Error(), "want a") || strings.Contains(err.Error(), "the-secret") {
				t.Errorf("%s: %v, want one of the kind %q with the right that it takes", name, err, tt.kind)
			}
		}
	}
}

func text(hooks []githosttest.Hook) string {
	b, _ := json.Marshal(hooks)
	return string(b)
}

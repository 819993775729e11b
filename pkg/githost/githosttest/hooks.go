package githosttest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// Hook is a webhook of a repository: what it was made with, by the names that the host has for it.
type Hook struct {
	ID   int
	Body map[string]any
}

// AddHook gives a repository a webhook.
func (a *API) AddHook(path string, body map[string]any) {
	a.Change(path, func(r *Repository) { r.addHook(body) })
}

func (r *Repository) addHook(body map[string]any) Hook {
	id := 1
	for _, h := range r.Hooks {
		id = max(id, h.ID+1)
	}
	r.Hooks = append(r.Hooks, Hook{id, body})
	return r.Hooks[len(r.Hooks)-1]
}

// HooksOf returns the webhooks of a repository.
func (a *API) HooksOf(path string) []Hook {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.repos[path].Hooks)
}

// AnswerHooks answers a request about a repository's webhooks, of which rest is what follows "hooks" in its path. show makes of
// one what the host shows; more says that the list has a page after the one that is answered.
func (a *Asked) AnswerHooks(r *Repository, rest []string, show func(Hook) any) (status int, body any, more bool) {
	sent := a.Sent()
	if a.Method != http.MethodGet && a.Method != http.MethodDelete && sent == nil {
		return http.StatusUnprocessableEntity, nil, false
	}
	if len(rest) == 0 && a.Method == http.MethodPost {
		return http.StatusCreated, show(r.addHook(sent)), false
	}
	if len(rest) == 0 {
		from, to, next := a.Page(len(r.Hooks), 100)
		listed := []any{}
		for _, h := range r.Hooks[from:to] {
			listed = append(listed, show(h))
		}
		return http.StatusOK, listed, next > 0
	}
	at := slices.IndexFunc(r.Hooks, func(h Hook) bool { return strconv.Itoa(h.ID) == rest[0] })
	switch {
	case at < 0:
		return http.StatusNotFound, nil, false
	case a.Method == http.MethodDelete:
		r.Hooks = slices.Delete(r.Hooks, at, at+1)
		return http.StatusNoContent, "", false
	}
	maps.Copy(r.Hooks[at].Body, sent)
	return http.StatusOK, show(r.Hooks[at]), false
}

package page

import (
	"context"
	"net/http"
	"net/url"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/page/act"
	"github.com/tekton-sentry/sentry/pkg/serve/page/view"
)

type visitorKey struct{}

// recognise notes who asks, for the views.
func (p *Page) recognise(r *http.Request) *http.Request {
	if p.gate == nil {
		return r
	}
	v := p.gate.Visitor(r)
	if v == nil {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), visitorKey{}, v))
}

// visitorOf returns who asks; nil for one who only reads.
func visitorOf(r *http.Request) *act.Visitor {
	v, _ := r.Context().Value(visitorKey{}).(*act.Visitor)
	return v
}

// framed returns a frame as who asks is shown it.
func (p *Page) framed(r *http.Request, f view.Frame) view.Frame {
	f.Acting = visitorOf(r) != nil
	f.Enters = p.gate != nil && p.gate.Bring != nil
	return f
}

// may returns the links of those acts that somebody may do, of what a query names.
func may(v *act.Visitor, what, name string, all []act.Verb, words map[act.Verb]string) (list []view.Act) {
	for _, verb := range all {
		if v.May.May(verb) {
			list = append(list, view.Act{Link: "/act/" + string(verb) + "?" + url.Values{what: {name}}.Encode(), Words: words[verb]})
		}
	}
	return list
}

// actsOfUnit is what somebody may do to a unit, which is of that group; "" = it is a branch.
func actsOfUnit(s *shown, u *overview.Unit, group string, v *act.Visitor) []view.Act {
	if v == nil {
		return nil
	}
	repository := ""
	if group == "" && len(u.Heads) > 0 {
		repository = u.Heads[0].Repository
	}
	var all []act.Verb
	if _, known := s.Repository(repository); known || group != "" {
		all = append(all, act.Trigger)
	}
	if s.Ended(u.Unit) > 0 {
		all = append(all, act.Rollback)
	}
	if s.Snapshot.PausedAt(u.Unit, repository) != nil {
		all = append(all, act.Resume)
	} else {
		all = append(all, act.Pause)
	}
	return may(v, "unit", u.Unit, all, map[act.Verb]string{act.Trigger: "Deploy now", act.Rollback: "Roll back", act.Pause: "Pause", act.Resume: "Resume"})
}

// actsOfRun is what somebody may do to a run.
func actsOfRun(ended *result.Result, run *engine.Run, v *act.Visitor) (list []view.Act) {
	if v == nil {
		return nil
	}
	name := ""
	if run != nil {
		name = run.Name
		if v.May.Logs {
			list = append(list, view.Act{Link: "/log/" + url.PathEscape(name), Words: "Log"})
		}
	}
	var all []act.Verb
	switch {
	case run != nil && run.Active:
		all = append(all, act.Cancel)
	case ended != nil && len(ended.Members) > 0:
		name = ended.Name
		all = append(all, act.Rerun)
		if ended.Verdict != result.Succeeded {
			all = append(all, act.Failed)
		}
	}
	return append(list, may(v, "run", name, all, map[act.Verb]string{act.Cancel: "Cancel", act.Rerun: "Run again", act.Failed: "Run again what failed"})...)
}

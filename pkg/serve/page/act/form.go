package act

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/pkg/serve/page/view"
	"github.com/tekton-sentry/sentry/pkg/serve/page/wire"
)

const (
	// maxForm bounds what is sent to have something done: a run of 150 deployments names its commits.
	maxForm = 256 << 10
	// fresh is how long what was shown may be confirmed.
	fresh = 10 * time.Minute
)

// words are what the verbs are called.
var words = map[Verb]struct{ Title, Button string }{
	Trigger:  {"Deploy %s now?", "Deploy"},
	Rollback: {"Deploy again what %s deployed last with success?", "Roll back"},
	Pause:    {"Pause %s?", "Pause"},
	Resume:   {"Resume %s?", "Resume"},
	Rerun:    {"Deploy again what %s deployed?", "Run again"},
	Failed:   {"Deploy again what failed of %s?", "Run again what failed"},
	Cancel:   {"Cancel %s?", "Cancel the run"},
}

// order is what a form holds, sealed.
type order struct {
	Ask
	Of      string          `json:"of"` // the unit
	Members []pinned.Member `json:"members,omitempty"`
	Digest  string          `json:"digest,omitempty"`
	Word    string          `json:"word"`
	Session string          `json:"session"`
	Until   time.Time       `json:"until"`
}

// allowed returns who may do what the path names; nil where it was answered.
func (g *Gate) allowed(w http.ResponseWriter, r *http.Request) (*Visitor, Verb) {
	verb := Verb(r.PathValue("verb"))
	if _, known := words[verb]; !known {
		g.nobody(w, r)
		return nil, ""
	}
	v, err := g.visitor(r, true)
	if err != nil {
		g.trouble(w, r, err)
		return nil, ""
	}
	if v == nil || !v.May.May(verb) {
		g.nobody(w, r)
		return nil, ""
	}
	return v, verb
}

// turnsOf are those of a verb: what stops something never waits for what starts something.
func (g *Gate) turnsOf(v Verb) *turns {
	switch v {
	case Pause, Resume, Cancel:
		return g.brakes
	}
	return g.plans
}

// turn waits for one of few turns, for what takes so long at most, and returns what gives it back; nil where it was answered that there is
// none.
func (g *Gate) turn(w http.ResponseWriter, r *http.Request, of *turns, v *Visitor, lasts time.Duration) func() {
	ctx, cancel := context.WithTimeout(r.Context(), waitTime)
	defer cancel()
	give, ok := of.take(ctx, v.Name)
	if !ok {
		w.Header().Set("Retry-After", "10")
		g.refuse(w, r, http.StatusServiceUnavailable, "Something else is done at the moment, and it takes long. Nothing was done; try again.", "/")
		return nil
	}
	// The server's time began before the wait. Where it cannot be set anew there is none.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(lasts + wire.Slow))
	return give
}

// confirm shows what would be done, with a form that has it done.
func (g *Gate) confirm(w http.ResponseWriter, r *http.Request) {
	v, verb := g.allowed(w, r)
	if v == nil {
		return
	}
	ask, err := asked(verb, r.URL.Query())
	if err != nil {
		g.refuse(w, r, http.StatusBadRequest, err.Error(), "/")
		return
	}
	give := g.turn(w, r, g.turnsOf(verb), v, planTime)
	if give == nil {
		return
	}
	defer give()
	ctx, cancel := context.WithTimeout(r.Context(), planTime)
	defer cancel()
	f, err := g.Look(ctx)
	var plan Plan
	if err == nil {
		plan, err = v.Plan(ctx, f, ask)
	}
	if err != nil {
		g.refuse(w, r, http.StatusConflict, "That cannot be done: "+because(err), back(ask))
		return
	}
	text := words[verb]
	form := g.seal("order", order{ask, plan.Unit, plan.Members, plan.Digest, Word(8), v.id, g.Now().Add(fresh)})
	if len(form) > maxForm/2 {
		g.refuse(w, r, http.StatusConflict, "That is too much for a form of this page: 'sentry "+string(verb)+"' does it.", back(ask))
		return
	}
	c := view.Confirm{
		Title: fmt.Sprintf(text.Title, cmp.Or(ask.Run, plan.Unit)), Button: text.Button, Action: "/act/" + string(verb), Form: form, Back: back(ask),
		By: v.Name, Reason: verb == Pause, Planned: plan.Planned,
	}
	c.Text = g.hide(c.Text)
	g.Show(w, r, http.StatusOK, view.Frame{Title: c.Title, Still: true, View: view.Ask(c)})
}

// do does what was confirmed.
func (g *Gate) do(w http.ResponseWriter, r *http.Request) {
	v, verb := g.allowed(w, r)
	if v == nil {
		return
	}
	form, err := fields(w, r, maxForm, "form", "reason")
	if err != nil {
		g.refuse(w, r, http.StatusBadRequest, "Nothing was done: "+err.Error(), "/")
		return
	}
	var o order
	if err := g.opens("order", form["form"], &o); err != nil || o.Session != v.id || o.Verb != verb {
		g.refuse(w, r, http.StatusForbidden, "Nothing was done: the form was not made for you, or by an earlier Sentry. Go back, and begin again.", "/")
		return
	}
	if !g.Now().Before(o.Until) {
		g.refuse(w, r, http.StatusConflict, "Nothing was done: it is too long ago that you were asked, and what was shown may be old. Begin again.", back(o.Ask))
		return
	}
	give := g.turn(w, r, g.turnsOf(verb), v, doTime)
	if give == nil {
		return
	}
	defer give()
	// Who leaves meanwhile has it done all the same: half of it would be worse.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), doTime)
	defer cancel()
	run, err := g.once(ctx, v, o, form["reason"])
	if err != nil {
		g.refuse(w, r, http.StatusConflict, because(err), back(o.Ask))
		return
	}
	to := back(o.Ask)
	if run != "" {
		to = "/run/" + url.PathEscape(run)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// once does what was ordered, unless the same form had it done before. What failed may be tried again.
func (g *Gate) once(ctx context.Context, v *Visitor, o order, reason string) (run string, err error) {
	d := g.done.of(o.Word, o.Until, g.Now())
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if d.done {
		return d.run, nil
	}
	f, err := g.Look(ctx)
	if err != nil {
		return "", err
	}
	defer g.Stale()
	run, err = v.Do(ctx, f, Order{Ask: o.Ask, Unit: o.Of, Members: o.Members, Digest: o.Digest, Word: o.Word, Reason: reason})
	d.run, d.done = run, err == nil
	return run, err
}

// because returns an error as people read it.
func because(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "it took too long, and may be half done. Look how things are before you try again: " + err.Error()
	}
	return err.Error()
}

// asked reads what is asked of a verb: of a run that is named, or of a unit, and of nothing else, so that the question names what is done.
func asked(verb Verb, query url.Values) (Ask, error) {
	ask := Ask{Verb: verb}
	what, name := "unit", &ask.Unit
	switch verb {
	case Rerun, Failed, Cancel:
		what, name = "run", &ask.Run
	}
	if *name = query.Get(what); *name == "" || len(query) != 1 || len(query[what]) != 1 {
		return ask, fmt.Errorf("%s is asked of one %s, /act/%[1]s?%[2]s=NAME", verb, what)
	}
	return ask, nil
}

// back is where an Ask comes from.
func back(a Ask) string {
	switch {
	case a.Run != "":
		return "/run/" + url.PathEscape(a.Run)
	case a.Unit != "":
		return "/unit/" + url.PathEscape(a.Unit)
	}
	return "/"
}

var errForm = errors.New("that is no form of this page")

// fields reads a form that has these fields at most, each once.
func fields(w http.ResponseWriter, r *http.Request, most int64, names ...string) (map[string]string, error) {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") || r.URL.RawQuery != "" {
		return nil, errForm
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		return nil, errors.New("the form is too long, or was cut off")
	}
	values, err := url.ParseQuery(string(text))
	if err != nil {
		return nil, errForm
	}
	form := map[string]string{}
	for name, given := range values {
		if len(given) != 1 || !slices.Contains(names, name) {
			return nil, errForm
		}
		form[name] = given[0]
	}
	return form, nil
}

package gitlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/breaker"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

const (
	// maxRests is how many calls of Heads use REST alone after GraphQL answered nothing at all, or nothing that makes
	// sense. A host that is down is called seldom, and shall not be asked both ways each time.
	maxRests = 10
	// lookAgain is for how long a server whose GraphQL does not answer heads is not asked for it again. It may be
	// upgraded, or only have been starting.
	lookAgain = time.Hour
)

// query reads projects by GraphQL. left are those that REST has to answer.
func (h *host) query(ctx context.Context, want []githost.Wanted) (answers []repo.Observation, left []int) {
	answers = make([]repo.Observation, len(want))
	var targets []*target
	for i, w := range want {
		path, err := h.project(w.URL)
		if err != nil {
			answers[i] = githost.Failed(githost.NewError(githost.Invalid, h.api.Host(), "%w", err))
			continue
		}
		if t, fits := newTarget(i, path, w.Patterns); fits {
			t.branches = lastOf(w).branches
			targets = append(targets, t)
		} else {
			left = append(left, i)
		}
	}
	if len(targets) == 0 {
		return answers, left
	}
	asked, err := h.offered(ctx)
	if err != nil {
		for i := range answers {
			if answers[i].Err == nil {
				answers[i] = githost.Failed(err)
			}
		}
		return answers, nil
	}
	if !asked {
		for _, t := range targets {
			left = append(left, t.index)
		}
		return answers, left
	}
	return answers, append(left, h.batch(ctx, want, targets, answers)...)
}

// batch reads targets, and returns which of what is wanted GraphQL does not answer: what it leaves out
// may be renamed, gone, or of a repository that its server cannot reach, and only REST tells these apart.
func (h *host) batch(ctx context.Context, want []githost.Wanted, targets []*target, answers []repo.Observation) []int {
	// What has the same branches goes together. Else the order stays: who waits the longest comes first.
	ranks := make(map[string]int)
	for i, t := range targets {
		set := t.set()
		if _, known := ranks[set]; !known {
			ranks[set] = i
		}
		t.rank = ranks[set]
	}
	slices.SortStableFunc(targets, func(a, b *target) int { return cmp.Compare(a.rank, b.rank) })
	pick := func(items []int) []*target {
		picked := make([]*target, len(items))
		for i, at := range items {
			picked[i] = targets[at]
		}
		return picked
	}
	items := make([]int, len(targets))
	for i := range items {
		items[i] = i
	}
	err := h.batches.Run(items, graphql.Work{
		Take: func(queue []int, size int) int { return fitting(pick(queue[:min(size, len(queue))]), size) },
		Ask: func(batch []int) error {
			return h.ask(ctx, split(pick(batch)), func(t *target, heads []rest.Head) {
				w := want[t.index]
				collected := githost.NewHeads(h.api.Host(), w)
				for _, head := range heads {
					collected.Add(head.Branch, head.Name)
				}
				o := collected.Observation()
				o.Validator = &memory{len(heads), lastOf(w).pages}
				answers[t.index] = o
			})
		},
		Fail: func(failed []int, err *githost.Error) {
			for _, t := range pick(failed) {
				answers[t.index] = githost.Failed(err)
			}
		},
	})
	if errors.Is(err, graphql.ErrTooMuch) {
		h.mu.Lock()
		h.rests = maxRests
		h.mu.Unlock()
	}
	var left []int
	for _, t := range targets {
		if o := answers[t.index]; o.Err == nil && o.Heads == nil {
			left = append(left, t.index)
		}
	}
	return left
}

// ask asks for parts, and hands over what was answered.
func (h *host) ask(ctx context.Context, parts []part, answered func(*target, []rest.Head)) error {
	text, variables := headsQuery(parts)
	answers := make([]partAnswer, len(parts))
	answer, err := h.graphQL.Ask(ctx, text, variables, func(alias string, v *jsonstream.Reader) {
		if i := graphql.Numbered(alias, "p", len(parts)); i >= 0 && !answers[i].told {
			answers[i] = parts[i].read(v)
		}
	})
	if graphql.Absent(err) {
		h.mu.Lock()
		h.offers = false // until the next call finds out
		h.mu.Unlock()
		return h.graphQL.Gone(err)
	}
	if err != nil {
		return err
	}
	// With an alias it is one of projects() that ran out of time, or of a commit in it: what else there is of that
	// project would look as if a branch had been deleted.
	partial := make(map[string][]graphql.Problem)
	for _, p := range answer.Problems {
		switch {
		case transport.LimitText(p.Message):
			return h.graphQL.Limited(answer, p)
		case p.Alias() == "" || !answer.Data:
			return h.problem(p)
		}
		partial[p.Alias()] = append(partial[p.Alias()], p)
	}
	for i, p := range parts {
		heads, err := p.heads(answers[i], partial[fmt.Sprintf("p%d", i)])
		if err != nil {
			return h.unreadable(err)
		}
		for _, t := range p.targets {
			// GitLab answers no commit and no error for a branch that it could not look up, and nothing else where there is
			// none. Where there are fewer than last time, REST tells them apart.
			if found, ok := heads[strings.ToLower(t.path)]; ok && len(found) >= t.branches {
				answered(t, found)
			}
		}
	}
	return nil
}

// problem makes an error of one that the whole query has: most are of its complexity, or of time.
func (h *host) problem(p graphql.Problem) error {
	e := githost.NewError(githost.Temporary, h.api.Host(), "it did not answer the GraphQL query (it says: %.120s)", p.Message)
	e.Status = http.StatusOK
	return fmt.Errorf("%w: %w", graphql.ErrTooMuch, e)
}

func (h *host) unreadable(err error) error {
	if errors.Is(err, jsonstream.ErrShape) {
		return githost.WrapError(h.api.Host(), err)
	}
	return githost.NewError(githost.Invalid, h.api.Host(), "%w", err)
}

// introspection asks for what Repository has, and what projects() takes.
const introspection = `query{repository:__type(name:"Repository"){fields{name args{name}}} query:__type(name:"Query"){fields{name args{name}}}}`

// offered reports whether a server's GraphQL answers heads, and asks it where that is not known. An error means
// that the server is not to be asked for anything else now.
func (h *host) offered(ctx context.Context) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.token == "" || h.breaker.State(time.Now()) == breaker.Open:
		return false, nil
	case h.rests > 0:
		h.rests--
		return false, nil
	case h.offers:
		return true, nil
	}
	var commit, projects argument
	answer, err := h.graphQL.Ask(ctx, introspection, nil, func(alias string, v *jsonstream.Reader) {
		switch alias {
		case "repository":
			commit = find(v, "commit", "ref")
		case "query":
			projects = find(v, "projects", "fullPaths")
		}
	})
	if e, ok := errors.AsType[*githost.Error](err); ok {
		switch {
		case graphql.Absent(err):
			h.breaker.OpenUntil(time.Now().Add(lookAgain), e)
			return false, nil
		case ctx.Err() != nil, e.Kind == githost.RateLimited, e.Status == http.StatusUnauthorized,
			e.Kind == githost.Temporary && e.Status == 0:
			return false, e
		}
		h.rests = maxRests
		return false, nil // REST says what is wrong
	}
	if !commit.told || !projects.told || len(answer.Problems) > 0 {
		h.rests = maxRests
		return false, nil
	}
	h.offers = commit.offered && projects.offered
	if !h.offers {
		h.breaker.OpenUntil(time.Now().Add(lookAgain), githost.NewError(githost.Invalid, h.api.Host(), "its GraphQL answers no heads"))
	}
	return h.offers, nil
}

// argument is what the description of a type says of an argument of one of its fields.
type argument struct{ told, offered bool }

// find reads the description of a type.
func find(v *jsonstream.Reader, field, arg string) argument {
	a := argument{told: !v.IsNull()}
	for part := range v.Fields() {
		if part != "fields" {
			continue
		}
		for range v.Items() {
			name, args := described(v, arg)
			a.offered = a.offered || name == field && args
		}
	}
	a.told = a.told && v.Shape() == nil
	return a
}

// maxArgs is how many arguments of a field are looked at. The most that GitLab has is fifty.
const maxArgs = 1_000

// described reads the description of a field, and returns its name and whether it has an argument.
func described(v *jsonstream.Reader, arg string) (name string, has bool) {
	for part := range v.Fields() {
		switch part {
		case "name":
			name = v.Text()
		case "args":
			for i := range v.Items() {
				if i == maxArgs {
					break
				}
				for part := range v.Fields() {
					has = part == "name" && v.Text() == arg || has
				}
			}
		}
	}
	return name, has
}

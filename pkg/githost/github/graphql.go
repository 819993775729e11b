package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/breaker"
	"github.com/tekton-sentry/sentry/pkg/githost/github/internal/reply"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// maxPages is how many pages of a hundred branches are read of one repository. One with more is asked for
// by REST from then on, where one request answers all of it, and costs nothing while nothing changes.
const maxPages = 5

// lookAgain is for how long a server that has no GraphQL is not asked for it again. It may be upgraded, and one that
// had it before may only be starting.
const lookAgain = time.Hour

// pointsResource and requestsResource are GitHub's names for what it counts apart: points of GraphQL, and requests
// of the rest. Of each a token has 5,000 an hour.
const (
	pointsResource   = "graphql"
	requestsResource = "core"
)

// query reads repositories by GraphQL. left are those that REST has to answer.
func (h *host) query(ctx context.Context, want []githost.Wanted) (answers []repo.Observation, left []int) {
	answers = make([]repo.Observation, len(want))
	targets := make([]*target, len(want))
	var items []int
	for i, w := range want {
		owner, name, err := rest.OwnerAndName(w.URL, "")
		if err != nil {
			answers[i] = githost.Failed(githost.NewError(githost.Invalid, h.name, "%w", err))
			continue
		}
		t, fits := newTarget(i, owner, name, w.Patterns)
		targets[i] = t
		if !fits || h.byREST(t) {
			left = append(left, i)
			continue
		}
		items = append(items, i)
	}
	reads := reading{host: h, want: want, targets: targets, answers: answers}
	_ = h.batches.Run(items, graphql.Work{ // Fail told each of them
		Take: func(_ []int, size int) int { return size },
		Ask:  func(batch []int) error { return reads.ask(ctx, batch) },
		Fail: func(failed []int, err *githost.Error) {
			for _, i := range failed {
				answers[i] = githost.Failed(err)
			}
		},
	})
	for _, i := range items {
		if h.byREST(targets[i]) {
			left = append(left, i)
		}
	}
	return answers, left
}

// withoutGraphQL reports whether the server has none. It is called with h.mu held.
func (h *host) withoutGraphQL() bool { return h.breaker.State(time.Now()) == breaker.Open }

// byREST reports whether GraphQL is no use for a repository.
func (h *host) byREST(t *target) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.withoutGraphQL() || len(t.pages) > 0 && h.large[t.path()]
}

func (t *target) path() string { return strings.ToLower(t.owner + "/" + t.name) }

// reading is one call of Heads.
type reading struct {
	host    *host
	want    []githost.Wanted
	targets []*target
	answers []repo.Observation
}

// ask reads a batch, page by page for those that have pages.
func (r *reading) ask(ctx context.Context, batch []int) error {
	pending := make([]*target, 0, len(batch))
	for _, i := range batch {
		t := *r.targets[i] // a batch that was too much is read again, from the start
		t.pages = slices.Clone(t.pages)
		t.heads = githost.NewHeads(r.host.name, r.want[i])
		pending = append(pending, &t)
	}
	all := pending
	for number := 1; len(pending) > 0; number++ {
		if number > maxPages {
			r.host.remember(func() {
				for _, t := range pending {
					t.heads.Drop()
					r.host.large[t.path()] = true
				}
			})
			return nil
		}
		request := headsRequest(pending)
		answer, err := r.host.send(ctx, request, request.fragments(), func(alias string, v *jsonstream.Reader) {
			if i := graphql.Numbered(alias, "r", len(pending)); i >= 0 && !pending[i].said.told {
				pending[i].read(v)
			}
		})
		if err != nil {
			for _, t := range all {
				t.heads.Drop()
			}
			return err
		}
		pending = r.take(answer, pending)
	}
	return nil
}

// take takes what an answer says of each target, and returns those of which another page follows.
func (r *reading) take(answer graphql.Answer, asked []*target) []*target {
	h := r.host
	problems := byAlias(answer.Problems)
	var more []*target
	for k, t := range asked {
		s := t.said
		t.said = said{}
		problem, refused := problems[fmt.Sprintf("r%d", k)]
		var err *githost.Error
		switch {
		case refused:
			err = h.refusal(problem)
		case !s.told || s.null:
			err = githost.NewError(githost.Temporary, h.name, "the answer leaves this repository out")
		case s.err != nil:
			err = h.unreadable(s.err)
		case s.more && t.heads.Err() == nil:
			more = append(more, t)
			continue
		}
		if err != nil {
			t.heads.Drop()
			r.answers[t.index] = githost.Failed(err)
			continue
		}
		o := t.heads.Observation()
		// The list of what was pushed to lately tells nothing of requests.
		if _, requests := r.want[t.index].Patterns.Requests(); o.Err == nil && !requests {
			at := servedAt(answer.Header)
			o.Validator = &sighting{canonical: t.canonical, pushed: t.pushed, read: at, verified: at}
		}
		r.answers[t.index] = o
	}
	return more
}

// send asks a query, whose answer field reads, and makes errors of problems that are not those of a single field.
func (h *host) send(ctx context.Context, r *request, fragments string, field graphql.Field) (graphql.Answer, error) {
	var left reply.Points
	answer, err := h.graphQL.Ask(ctx, r.text(fragments), r.variables, func(alias string, v *jsonstream.Reader) {
		if alias == "rateLimit" {
			left = reply.ReadPoints(v)
			return
		}
		field(alias, v)
	})
	if err != nil {
		return answer, h.missing(err)
	}
	h.remember(func() { h.spoke = time.Now() })
	if left.Told && h.billed != nil {
		h.billed(left.Bill(pointsResource))
	}
	for _, p := range answer.Problems {
		switch {
		case p.Type == "RATE_LIMITED" || p.Type == "RATE_LIMIT" || p.Alias() == "" && transport.LimitText(p.Message):
			e := h.graphQL.Limited(answer, p)
			if strings.HasPrefix(p.Type, "RATE_LIMIT") && !transport.SecondaryLimit(p.Message) {
				e.Resource = pointsResource
			}
			return answer, e
		case p.Type == "RESOURCE_LIMITS_EXCEEDED" || p.Type == "MAX_NODE_LIMIT_EXCEEDED":
			return answer, fmt.Errorf("%w: %w", graphql.ErrTooMuch, h.refusal(p))
		case p.Alias() != "":
		case p.Type == "FORBIDDEN" || p.Type == "INSUFFICIENT_SCOPES":
			return answer, h.refusal(p)
		case p.Code != "" || isOfTheQuery(p):
			return answer, githost.NewError(githost.Invalid, h.name, "it does not understand the query (it says: %.120s)", p.Message)
		default: // "Something went wrong": it ran out of time, or has a fault
			return answer, fmt.Errorf("%w: %w", graphql.ErrTooMuch, h.refusal(p))
		}
	}
	return answer, nil
}

// missing tells a server that has no GraphQL, so that REST is asked, from one that has it and is in trouble, or has a
// proxy before it that is: with thousands of repositories, REST for an hour would use up what the credential is granted.
func (h *host) missing(err error) error {
	if !graphql.Absent(err) {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Sub(h.spoke) >= lookAgain {
		h.breaker.OpenUntil(now.Add(lookAgain), githost.WrapError(h.name, err))
		return err
	}
	return h.graphQL.Gone(err)
}

// refusal makes an error of a problem.
func (h *host) refusal(p graphql.Problem) *githost.Error {
	kind, hint := githost.Temporary, "the server has a problem"
	switch p.Type {
	case "NOT_FOUND":
		kind, hint = githost.NotFound, "no such repository, or this credential may not see it"
	case "FORBIDDEN", "INSUFFICIENT_SCOPES":
		kind, hint = githost.Denied, "the credential lacks the right to read this"
	}
	e := githost.NewError(kind, h.name, "%s (it says: %.120s)", hint, p.Message)
	e.Status = http.StatusOK
	return e
}

// unreadable makes an error of an answer that cannot be read.
func (h *host) unreadable(err error) *githost.Error {
	if errors.Is(err, jsonstream.ErrShape) {
		return githost.WrapError(h.name, err)
	}
	return githost.NewError(githost.Invalid, h.name, "%w", err)
}

// isOfTheQuery reports whether a server refuses the query itself, as those do that are no GitHub. There is no code for
// it that all of them send.
func isOfTheQuery(p graphql.Problem) bool {
	return strings.Contains(p.Message, "doesn't exist on type") || strings.Contains(p.Message, "Cannot query field")
}

func byAlias(problems []graphql.Problem) map[string]graphql.Problem {
	of := make(map[string]graphql.Problem)
	for _, p := range problems {
		if _, known := of[p.Alias()]; !known {
			of[p.Alias()] = p
		}
	}
	return of
}

// remember changes what the host knows.
func (h *host) remember(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// servedAt returns when a server answered, by its own clock; zero when it does not say.
func servedAt(header http.Header) time.Time {
	t, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t
}

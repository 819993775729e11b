package github

import (
	"context"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/github/internal/owned"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

// Owned implements githost.Owners by GraphQL, which wants a token. REST has no list that tells how many it has.
func (h *host) Owned(ctx context.Context, q githost.OwnedBy, last *githost.Owned) (*githost.Owned, error) {
	if h.token == "" {
		return nil, githost.NewError(githost.Denied, h.name, "there is no token: GitHub lists the repositories of an owner to those who have one; "+
			"one that may read public repositories will do for these")
	}
	lists := owned.Host{Name: h.name, Refusal: h.refusal,
		Ask: func(ctx context.Context, build func(func(name, value string) string) string, field graphql.Field) (graphql.Answer, error) {
			r := newRequest()
			r.fields.WriteString(build(r.variable))
			return h.send(transport.Mark(ctx, transport.Marks{Aside: true}), r, "", field)
		}}
	return lists.Owned(ctx, q, last)
}

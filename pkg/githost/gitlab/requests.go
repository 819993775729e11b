package gitlab

import (
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/requests"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// requests reads a list of open requests. That of a project that was deleted has no source.
func (h *host) requests(v *jsonstream.Reader, add func(rest.Head) error) error {
	if v.IsNull() {
		return githost.NewError(githost.Invalid, h.api.Host(), "the answer is empty: is this a GitLab?")
	}
	for range v.Items() {
		var number, source, target int64
		var head string
		var r repo.Request
		for field := range v.Fields() {
			switch field {
			case "iid":
				number = requests.Number(v)
			case "sha":
				head = requests.Short(v)
			case "target_branch":
				r.Target = requests.Short(v)
			case "source_project_id":
				source = requests.Number(v)
			case "target_project_id":
				target = requests.Number(v)
			}
		}
		r.Own = source > 0 && source == target
		if err := requests.Add(v, h.api.Host(), repo.Merges, number, head, r, add); err != nil {
			return err
		}
	}
	return v.End()
}

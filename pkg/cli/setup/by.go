package setup

import (
	"context"
	"log/slog"
	"os/user"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/oneline"
)

// maxName bounds a name of a person, in bytes.
const maxName = 100

// By returns for whom a command does what it does: whom the cluster knows, which is nil where none is asked, and who they are to
// this machine.
func (o *Options) By(ctx context.Context, cluster *kube.Cluster, command string) audit.By {
	by := audit.By{Cause: command}
	if cluster != nil {
		by.Who = oneline.Of(cluster.WhoAmI(ctx), maxName)
	}
	if u, err := user.Current(); err == nil {
		by.Claim = oneline.Of(u.Username, maxName)
	}
	return by
}

// Logger returns the log that the flags ask for.
func (o *Options) Logger() (*slog.Logger, error) { return term.NewLog(o.Err, o.LogFormat, &o.Level) }

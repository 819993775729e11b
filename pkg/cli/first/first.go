// Package first has the commands of the first hour with Sentry, and of a change to its configuration: init, schema, check
// and diff.
package first

import (
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/kube"
)

// Sentry is what the commands need of the command line that they are part of.
type Sentry struct {
	In  io.Reader
	Out io.Writer // data
	Err io.Writer // all else
	// Load reads the configuration that the flags name.
	Load func(config.Options) (*config.Config, *slog.Logger, error)
	// Named returns the files and folders that the flags name.
	Named func() []string
	// Options completes how configurations are read, with what the flags say.
	Options func(config.Options) (config.Options, error)
	// Connect connects to the cluster that the flags name.
	Connect func(namespace string) (*kube.Cluster, error)
	// ConnectTo connects to another cluster.
	ConnectTo func(config.Cluster) (*kube.Cluster, error)
}

// Commands returns the commands.
func Commands(s *Sentry) []*cobra.Command {
	return []*cobra.Command{newInit(s), newSchema(s), newDiff(s), newCheck(s)}
}

package local_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/engine/enginetest"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// A deployment lasts until there is a file for its commit, and ends with the status that it holds.
func TestEngine(t *testing.T) {
	url, head := qaServer(t)
	enginetest.Test(t, func(t *testing.T) enginetest.Subject {
		dir := t.TempDir()
		return enginetest.Subject{
			Engine: newTrial(t), QAURL: url + "/team/qa", QASHA: head, EndsCancelled: true,
			Command: "until [ -e " + dir + "/$SENTRY_SHA ]; do sleep 0.01; done; exit $(cat " + dir + "/$SENTRY_SHA)",
			End: func(run plan.Run, well bool) {
				name := filepath.Join(dir, string(run.Trigger.Refs[0].New))
				if err := os.WriteFile(name+".new", []byte(map[bool]string{true: "0", false: "1"}[well]), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(name+".new", name); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

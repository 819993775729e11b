package watching

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/state/file"
)

// standing is a file in which repositories of the owner team stand.
func standing(names ...string) string {
	text := "global: {on_first_seen: deploy}\nrepositories:\n"
	for _, name := range names {
		text += strings.ReplaceAll(`  - name: NAME
    monitor: {repo_url: https://host.example/team/NAME, repo_type: gitea, branches: [main]}
    deploy: {qa_repo_url: https://host.example/team/qa, repo_type: gitea, commands: [./deploy]}
`, "NAME", name)
	}
	return text
}

// twoOwners asks for those of team and of other.
var twoOwners = discovered + strings.Replace(strings.TrimPrefix(discovered, "discover:\n"), "owner: team", "owner: other", 1)

// edit has another file, as it runs or with a restart.
func (o *organisation) edit(how, text string) {
	o.Helper()
	if o.text = text; how == "restart" {
		o.restart()
	} else if err := os.WriteFile(o.sentry.Options.Config.Names[0], []byte(text), 0o600); err != nil {
		o.Fatal(err)
	}
}

// remembers says what is remembered, sorted by name.
func (o *organisation) remembers(when, want string) {
	o.Helper()
	s, err := file.New(filepath.Join(o.dir, "state.json"), o.sentry.log).Load(o.Context())
	if err != nil {
		o.Fatal(err)
	}
	var names []string
	for name := range s.Repositories {
		if s.Seen(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != want {
		o.Errorf("%s: remembered is %q, want %q", when, got, want)
	}
}

// Repositories of the file that are found by discover from then on go on: nothing runs for them again.
func TestRepositoriesMoveFromTheFileToDiscover(t *testing.T) {
	for _, how := range []string{"restart", "edit"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrganisation(t, standing("fixed", "svc-a"))
				o.push("team/fixed", "1")
				o.push("team/svc-a", "1")
				o.has("1", "team/svc-a")
				o.start()
				o.expect("fixed svc-a", "fixed main 1, svc-a main 1")
				o.edit(how, standing("fixed")+discovered)
				o.expect("fixed svc-a", "")
				o.end()
			})
		})
	}
}

// Where what was found is lost while Sentry does not run, what is not found anew yet is remembered, also over restarts: of one owner, or of all.
func TestWhatWasFoundIsLost(t *testing.T) {
	for down, watched := range map[string]string{"other": "svc-a", "other team": ""} {
		t.Run(down, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrganisation(t, standing("fixed")+twoOwners)
				for _, path := range []string{"team/fixed", "team/svc-a", "other/svc-b"} {
					o.push(path, "1")
				}
				o.has("1", "team/svc-a")
				o.has("2", "other/svc-b")
				o.start()
				o.expect("fixed svc-a svc-b", "fixed main 1, svc-a main 1, svc-b main 1")
				o.end()
				if err := os.Remove(o.found()); err != nil {
					t.Fatal(err)
				}
				for _, owner := range strings.Fields(down) {
					o.down[owner] = true
				}
				for range 2 {
					o.start()
					o.expect(strings.TrimSpace("fixed "+watched), "")
					o.end()
					o.remembers("while hosts are down", "fixed svc-a svc-b")
				}
				o.push("other/svc-b", "5")
				clear(o.down)
				o.start()
				o.expect("fixed svc-a svc-b", "svc-b main 5")
				o.end()
			})
		})
	}
}

// An older document that is put back while Sentry runs takes nothing away, also while the host is down.
func TestOlderDocumentIsPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrganisation(t, discovered)
		o.push("team/svc-a", "1")
		o.has("1", "team/svc-a")
		o.start()
		o.expect("svc-a", "")
		backup, err := os.ReadFile(o.found())
		if err != nil {
			t.Fatal(err)
		}
		o.push("team/svc-b", "1")
		o.has("2", "team/svc-b")
		o.expect("svc-a svc-b", "")
		o.down["team"] = true
		if err := os.WriteFile(o.found(), backup, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		o.push("team/svc-b", "5")
		o.expect("svc-a svc-b", "svc-b main 5")
		o.end()
	})
}

// Once discover was taken out of the file, that forgets what it does not have, as any file does.
func TestDiscoverIsTakenOut(t *testing.T) {
	for _, how := range []string{"restart", "edit"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrganisation(t, standing("fixed", "second")+discovered)
				for _, path := range []string{"team/fixed", "team/second", "team/svc-a"} {
					o.push(path, "1")
				}
				o.has("1", "team/svc-a")
				o.start()
				o.expect("fixed second svc-a", "fixed main 1, second main 1, svc-a main 1")
				for _, names := range []string{"fixed second", "fixed"} {
					o.edit(how, standing(strings.Fields(names)...))
					o.expect(names, "")
					o.remembers("without discover", names)
				}
				o.end()
			})
		})
	}
}

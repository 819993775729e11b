package filter_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine/enginetest"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/filter"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts/hoststest"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/state/file"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

const services = 40

// tree is what is in a commit: what Git's fast-import writes before each path.
type tree map[string]string

// history is a Git repository with 1,000 commits, and the heads that a branch had one after the other.
type history struct {
	root  string
	heads []string
}

func git(t *testing.T, dir, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
	cmd.Stdin = strings.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, &errs)
	}
	return string(out)
}

// write makes the history: commits that change, add, delete and rename files, in services and beside them, turn folders into files
// and submodules, merge, and force pushes that go back and leave commits behind.
func write(t *testing.T, r *rand.Rand) history {
	const commits, blobs = 1000, 50
	h := history{root: t.TempDir()}
	dir := filepath.Join(h.root, "o", "mono")
	git(t, h.root, "", "init", "-q", "--bare", dir)
	var stream strings.Builder
	for i := range blobs {
		text := fmt.Sprintf("content %d\n", i)
		fmt.Fprintf(&stream, "blob\nmark :%d\ndata %d\n%s", i+1, len(text), text)
	}
	blob := func() string { return fmt.Sprintf("M 100644 :%d", 1+r.IntN(blobs)) }
	trees, parents := []tree{{}}, []int{}
	for s := range services {
		for _, name := range []string{"main.go", "README.md", "deep/er/x.go", "deep/er/x.md"} {
			trees[0][fmt.Sprintf("services/s%02d/%s", s, name)] = blob()
		}
	}
	maps.Copy(trees[0], tree{"go.mod": blob(), "libs/common/a.go": blob(), "README.md": blob()})
	change := func(in tree) {
		paths := slices.Sorted(maps.Keys(in))
		path, dir := paths[r.IntN(len(paths))], fmt.Sprintf("services/s%02d/", r.IntN(services))
		switch r.IntN(10) {
		case 0:
			delete(in, path)
		case 1: // renamed, mostly into another service
			in[dir+filepath.Base(path)] = in[path]
			delete(in, path)
		case 2:
			in[dir+fmt.Sprintf("new/%d/file.go", r.IntN(3))] = blob()
		case 3:
			in[dir+"notes.md"] = blob()
		case 4: // a submodule
			in[dir+"vendor"] = "M 160000 " + fmt.Sprintf("%040x", 1+r.IntN(5))
		case 5: // a folder becomes a file
			for _, p := range paths {
				if strings.HasPrefix(p, dir+"deep/") {
					delete(in, p)
				}
			}
			in[dir+"deep"] = blob()
		case 6:
			in[path] = strings.Replace(in[path], "100644", "100755", 1)
		case 7:
			in[[]string{"go.mod", "README.md", "libs/common/a.go", "libs/common/b/c.go"}[r.IntN(4)]] = blob()
		default:
			in[path] = blob()
		}
		for p := range in { // no file above another one
			for q := range in {
				if strings.HasPrefix(q, p+"/") {
					delete(in, q)
				}
			}
		}
	}
	emit := func(in tree, from ...int) int {
		at := len(trees)
		trees, parents = append(trees, in), append(parents, 0)
		fmt.Fprintf(&stream, "commit refs/heads/c%d\nmark :%d\ncommitter A <a@example.com> %d +0000\ndata 1\nx", at, blobs+at, 1_700_000_000+at)
		for i, f := range from {
			fmt.Fprintf(&stream, "\n%s :%d", []string{"from", "merge"}[i], blobs+f)
		}
		stream.WriteString("\ndeleteall\n")
		for _, p := range slices.Sorted(maps.Keys(in)) {
			fmt.Fprintf(&stream, "%s %s\n", in[p], p)
		}
		return at
	}
	head := emit(trees[0])
	pushes := []int{head}
	for len(trees) <= commits {
		for range 1 + r.IntN(6) {
			next := maps.Clone(trees[head])
			switch n := r.IntN(12); {
			case n == 0 && head > 5: // a merge of what began earlier
				base := head - 1 - r.IntN(5)
				side := maps.Clone(trees[base])
				change(side)
				maps.Copy(next, side)
				head = emit(next, head, emit(side, base))
			case n == 1 && head > 5: // somebody forced another history
				base := head - 1 - r.IntN(5)
				next = maps.Clone(trees[base])
				change(next)
				head = emit(next, base)
			default:
				change(next)
				head = emit(next, head)
			}
		}
		if r.IntN(15) == 0 { // back to what was there before
			head = pushes[r.IntN(len(pushes))]
		}
		pushes = append(pushes, head)
	}
	marks := filepath.Join(t.TempDir(), "marks")
	git(t, dir, stream.String(), "fast-import", "--quiet", "--export-marks="+marks)
	text, err := os.ReadFile(marks)
	if err != nil {
		t.Fatal(err)
	}
	sha := map[string]string{}
	for line := range strings.Lines(string(text)) {
		mark, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		sha[mark] = name
	}
	for _, p := range pushes {
		h.heads = append(h.heads, sha[fmt.Sprintf(":%d", blobs+p)])
	}
	return h
}

// concerned returns the services that the files concern which differ between two commits, as Git says.
func (h history) concerned(t *testing.T, before, after string) []string {
	var names []string
	for path := range strings.SplitSeq(git(t, filepath.Join(h.root, "o", "mono"), "", "diff", "--name-only", "--no-renames", "-z", before, after), "\x00") {
		for s := range services {
			if strings.HasPrefix(path, fmt.Sprintf("services/s%02d/", s)) && !strings.HasSuffix(path, ".md") ||
				s%4 == 0 && path == "go.mod" || s%5 == 0 && strings.HasPrefix(path, "libs/common/") {
				names = append(names, fmt.Sprintf("s%02d", s))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// forty is a monorepo whose services are an entry each.
func forty(url string, kind config.HostType, paths bool) string {
	text := "repositories:"
	for s := range services {
		only := ""
		if paths {
			only = fmt.Sprintf(`, paths: ["services/s%02d/**", "!*.md"`, s)
			if s%4 == 0 {
				only += ", /go.mod"
			}
			if s%5 == 0 {
				only += ", libs/common/"
			}
			only += "]"
		}
		text += fmt.Sprintf("\n  - name: s%02d\n    monitor: {repo_url: %q, repo_type: %s, branches: [main]%s}\n    deploy: {task: {name: deploy}}", s, url, kind, only)
	}
	return text
}

// TestMonorepo starts exactly the runs that git diff --name-only OLD NEW says, on each kind of host, over one comparison a push.
func TestMonorepo(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	h := write(t, r)
	mono := filepath.Join(h.root, "o", "mono")
	for _, tt := range []struct {
		kind    config.HostType
		filters bool
		every   int // push is looked at
	}{{config.Git, true, 1}, {config.Git, false, 8}, {config.GitHub, true, 8}, {config.GitLab, true, 8}, {config.Gitea, true, 8}} {
		t.Run(fmt.Sprintf("%s filters %v", tt.kind, tt.filters), func(t *testing.T) {
			git(t, mono, "", "config", "uploadpack.allowFilter", fmt.Sprint(tt.filters))
			api := hoststest.New(tt.kind)
			var fetches, requests, bytesOf atomic.Int64
			real := githosttest.GitHandler(h.root)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				requests.Add(1)
				body, _ := io.ReadAll(req.Body)
				req.Body = io.NopCloser(bytes.NewReader(body))
				fetch := bytes.Contains(body, []byte("command=fetch"))
				byGit := strings.HasSuffix(req.URL.Path, "/git-upload-pack") || strings.HasSuffix(req.URL.Path, "/info/refs")
				if fetch {
					fetches.Add(1)
					w = counting{w, &bytesOf}
				}
				if fetch || byGit && (tt.kind == config.GitHub || tt.kind == config.GitLab) {
					real.ServeHTTP(w, req)
					return
				}
				api.ServeHTTP(w, req)
			}))
			t.Cleanup(server.Close)
			parse := func(paths bool) *config.Config {
				cfg, err := config.Parse([]byte(forty(server.URL+"/o/mono", tt.kind, paths)), hosts.Options(nil))
				if err != nil {
					t.Fatal(err)
				}
				return cfg
			}
			reader := &poller.Reader{Hosts: hosts.All, Version: "test"}
			t.Cleanup(reader.Close)
			engine := &enginetest.Fake{}
			var created []string
			w := &watch.Watcher{
				Config: parse(true), Heads: reader, Filter: &filter.Filter{Commits: reader}, Engine: engine, Now: time.Now,
				Store: file.New(filepath.Join(t.TempDir(), "state.json"), slog.New(slog.DiscardHandler)), Word: func() string { return "0123abcd" },
				Tell: func(e event.Event) {
					switch e := e.(type) {
					case event.RunCreated:
						created = append(created, e.Run.Trigger.Refs[0].Repository)
					case event.HeadUnclear:
						t.Errorf("%s at %s is unclear: %v", e.Ref, e.SHA.Short(), e.Err)
					}
				},
			}
			cycle := func() {
				t.Helper()
				created = nil
				if report, err := w.RunOnce(context.Background(), watch.Request{}); err != nil || report.Failing > 0 {
					t.Fatalf("RunOnce = %+v, %v", report, err)
				}
				slices.Sort(created)
				engine.End(true)
			}
			before := h.heads[0]
			api.Push("o/mono", "main", before)
			cycle()
			runs, pushes, most := 0, 0, int64(0)
			for i := tt.every; i < len(h.heads); i += tt.every {
				after := h.heads[i]
				api.Push("o/mono", "main", after)
				was := fetches.Load()
				cycle()
				if want := h.concerned(t, before, after); !slices.Equal(created, want) {
					t.Fatalf("push %d, %s..%s: runs of %v, want %v", i, before[:7], after[:7], created, want)
				}
				most = max(most, fetches.Load()-was)
				runs, pushes, before = runs+len(created), pushes+1, after
			}
			t.Logf("%d pushes, %d runs, %d fetches, %d bytes", pushes, runs, fetches.Load(), bytesOf.Load())
			if most > 20 || runs < pushes || runs > pushes*services*3/4 {
				t.Errorf("%d runs of %d pushes, and up to %d fetches for one", runs, pushes, most)
			}

			// Idle, it asks as one without paths.
			idle := func(cfg *config.Config) int64 {
				w.Apply(cfg)
				cycle()
				was := requests.Load()
				cycle()
				return requests.Load() - was
			}
			if with, without := idle(parse(true)), idle(parse(false)); with != without || len(created) > 0 {
				t.Errorf("an idle cycle takes %d requests, and %d without paths; runs of %v", with, without, created)
			}
		})
	}
}

// counting counts the bytes that are written.
type counting struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counting) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

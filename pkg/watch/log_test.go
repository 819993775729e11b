package watch

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/event"
)

// What cannot be read for the same reason is told of in one line, and not once for each repository; a few have a line
// each. The next cycles say nothing, until it can be read again.
func TestLogOfRepositoriesThatFail(t *testing.T) {
	for n, want := range map[int]string{
		2: `level=ERROR msg="cannot read the repository; its branches count as unchanged" repo=r10 err="host is down"
level=ERROR msg="cannot read the repository; its branches count as unchanged" repo=r11 err="host is down"
level=INFO msg="the repository can be read again" repo=r10
level=INFO msg="the repository can be read again" repo=r11
`,
		12: `level=ERROR msg="cannot read the repositories; their branches count as unchanged" repositories=12 repo="r10, r11, r12, r13, r14, r15, r16, r17, r18, r19, …" err="host is down"
level=INFO msg="the repositories can be read again" repositories=12 repo="r10, r11, r12, r13, r14, r15, r16, r17, r18, r19, …"
`,
	} {
		w := newWorld(t, many(n))
		up := func() {
			for i := range n {
				w.set(fmt.Sprintf("h%d", 10+i), "main", "a")
			}
		}
		up()
		w.cycle()
		w.log.Reset()
		clear(w.heads)
		w.cycle()
		w.cycle()
		up()
		w.cycle()
		w.cycle()
		if diff := cmp.Diff(want, regexp.MustCompile(`(?m)^time=\S+ `).ReplaceAllString(w.log.String(), "")); diff != "" {
			t.Errorf("log of %d repositories (-want +got):\n%s", n, diff)
		}
	}
}

// Many repositories that are seen for the first time have one line together.
func TestLogOfFirstSights(t *testing.T) {
	for n, want := range map[int]string{
		20: "first seen: recorded, nothing runs\" repo=r10 branches=main@aaaaaaa",
		21: "first seen: recorded, nothing runs\" repositories=21\n",
	} {
		w := newWorld(t, many(n))
		for i := range n {
			w.set(fmt.Sprintf("h%d", 10+i), "main", "a")
		}
		w.cycle()
		log := w.log.String()
		if lines := strings.Count(log, "first seen"); !strings.Contains(log, want) || lines != n && lines != 1 || lines > 20 {
			t.Errorf("%d repositories: %d lines, want %q in\n%s", n, lines, want, log)
		}
	}
}

// many returns the configuration of repositories r10, r11, … on hosts of their own.
func many(n int) string {
	var yaml strings.Builder
	yaml.WriteString("repositories:\n")
	for i := range n {
		fmt.Fprintf(&yaml, "  - name: r%d\n    monitor: {repo_url: https://h%[1]d.example/x, branches: [main], repo_type: git}\n"+
			"    deploy: {qa_repo_url: https://qa.example/x, repo_type: git, commands: [x]}\n", 10+i)
	}
	return yaml.String()
}

// A change is noticed once, however many hosts answer after it.
func TestNoticedOnce(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", "")+entry("b", "")+entry("c", ""))
	for _, host := range []string{"a", "b", "c"} {
		w.set(host, "main", "1")
	}
	w.cycle()
	var noticed []string
	w.watcher.Tell = func(e event.Event) {
		if n, ok := e.(event.Noticed); ok {
			for _, e := range n.Events {
				noticed = append(noticed, e.Ref.Repository+" "+string(e.Kind))
			}
		}
	}
	for _, host := range []string{"a", "b", "c"} {
		w.set(host, "main", "2")
	}
	delete(w.heads, "https://qa.example/x") // so that all of them stay due
	w.cycle()
	slices.Sort(noticed)
	if want := []string{"a moved", "b moved", "c moved"}; !slices.Equal(noticed, want) {
		t.Errorf("noticed %q, want %q", noticed, want)
	}
}

package naming

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

var (
	labelValue = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`)
	dnsLabel   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
)

func checkUnit(t *testing.T, u Unit) {
	t.Helper()
	if !labelValue.MatchString("sentry-"+u.Label) || !labelValue.MatchString(u.Label) || len("sentry-"+u.Label) > 63 {
		t.Errorf("unit %+v: label %q of %d characters is no label value, or too long behind sentry-", u, u.Label, len(u.Label))
	}
	if !dnsLabel.MatchString(u.Prefix) || len(u.Prefix) > 30 {
		t.Errorf("unit %+v: prefix %q of %d characters is no DNS label of at most 30", u, u.Prefix, len(u.Prefix))
	}
}

func TestUnitOf(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct{ repository, group, branch, label, prefix string }{
		{"rag", "", "main", "rag.main", "rag-main"},
		{"rag", "", "Release_1.2", "rag.Release_1.2", "rag-release-1-2"},
		{"rag", "", "feature/x", "rag.feature-x..3b2cf385", "rag-feature-x"},
		{"rag", "", "feature-x", "rag.feature-x", "rag-feature-x"},
		{"rag", "", "x-", "rag.x..9fcca11a", "rag-x"},
		{"rag", "", "_x", "rag._x", "rag-x"},
		{"rag", "", "日本", "rag.x..409dde07", "rag-x"},
		{"rag", "", "x$(HOME)", "rag.x-home..e163fc0e", "rag-x-home"},
		{"rag", "", "a..b", "rag.a-b..f36535bd", "rag-a-b"},
		{"rag", "", x(52), "rag." + x(52), "rag-" + x(26)},
		{"rag", "", x(53), "rag." + x(42) + "..bf8583ce", "rag-" + x(26)},
		{x(63), "", "main", x(35) + ".main..1ec7c82e", x(30)},
		{x(54), "", "m", x(54) + ".m", x(30)},
		{x(29), "", "m", x(29) + ".m", x(29)},
		{"rag", "ai-blueprints", "main", "ai-blueprints", "ai-blueprints"},
		{"rag", "Team_A", "main", "Team_A", "team-a"},
		{"rag", "team.a", "main", "team-a..dc627329", "team-a"},
		{"rag", "_a", "main", "a..34fb7160", "a"},
		{"rag", "-a-", "main", "a..a75a468f", "a"},
		{"rag", x(56), "main", x(56), x(30)},
		{"rag", x(57), "main", x(46) + "..ae14a256", x(30)},
	}
	for _, tt := range tests {
		u := UnitOf(&config.Repository{Name: tt.repository, Group: tt.group}, tt.branch)
		if u.Label != tt.label || u.Prefix != tt.prefix {
			t.Errorf("UnitOf(%s in group %q, %s) = %q, %q, want %q, %q", tt.repository, tt.group, tt.branch, u.Label, u.Prefix, tt.label, tt.prefix)
		}
		if u.Group != tt.group || (tt.group == "") != (u.Ref == repo.Ref{Repository: tt.repository, Branch: tt.branch}) {
			t.Errorf("UnitOf(%s in group %q, %s) is group %q, ref %s", tt.repository, tt.group, tt.branch, u.Group, u.Ref)
		}
		checkUnit(t, u)
	}
}

func TestLabelsNeverCollide(t *testing.T) {
	names := []string{"a", "b", "a-b", "a-b-c", "x", strings.Repeat("x", 60), strings.Repeat("x", 61)}
	branches := []string{"a", "b", "a-b", "a/b", "a_b", "A-B", "a.b", "b-c", "x", "é", "ü", strings.Repeat("x", 60), strings.Repeat("x", 61)}
	units := map[string]Unit{}
	add := func(u Unit) {
		checkUnit(t, u)
		if other, taken := units[u.Label]; taken {
			t.Errorf("label %q is that of %+v and of %+v", u.Label, other, u)
		}
		units[u.Label] = u
	}
	for _, name := range names {
		for _, branch := range branches {
			add(UnitOf(&config.Repository{Name: name}, branch))
		}
	}
	for _, group := range append(names, "a.b", "a..b", "x."+strings.Repeat("x", 50)) {
		add(UnitOf(&config.Repository{Name: "a", Group: group}, "main"))
	}
}

func FuzzUnitOf(f *testing.F) {
	for _, branch := range []string{"main", "feature/x", "x$(HOME)", "日本", "a..b", "-", "\xff", strings.Repeat("x-", 100)} {
		f.Add("rag", branch)
		f.Add(strings.Repeat("long-name", 7), branch)
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		if text == "" || !dnsLabel.MatchString(name) || len(name) > 63 {
			return
		}
		checkUnit(t, UnitOf(&config.Repository{Name: name}, text))
		checkUnit(t, UnitOf(&config.Repository{Name: name, Group: text}, ""))
		refs := []repo.Ref{{Repository: name, Branch: text}, {Repository: name, Branch: text + "/"}}
		for range 2 {
			tasks := Tasks(refs)
			for _, task := range tasks {
				if !dnsLabel.MatchString(task) || len(task) > 40 || len(tasks) == 2 && tasks[0] == tasks[1] {
					t.Errorf("tasks of %s@%q: %q is no DNS label of at most 40 characters, or taken", name, text, task)
				}
			}
			refs = refs[:1]
		}
	})
}

func TestTasks(t *testing.T) {
	long := strings.Repeat("l", 41)
	tests := map[string]struct {
		refs []string // repository@branch
		want []string
	}{
		"one task each":               {[]string{"rag@main", "web@x/y"}, []string{"rag", "web"}},
		"two of one repository":       {[]string{"rag@dev/x", "rag@main", "web@main"}, []string{"rag-dev-x", "rag-main", "web"}},
		"same slug":                   {[]string{"rag@dev-x", "rag@dev/x", "rag@dev_x"}, []string{"rag-dev-x", "rag-dev-x-4e567650", "rag-dev-x-331f368e"}},
		"another repository's name":   {[]string{"rag@dev", "rag@main", "rag-main@main"}, []string{"rag-dev", "rag-main-638cf12e", "rag-main"}},
		"same slug of two":            {[]string{"a@b-c", "a@x", "a-b@c", "a-b@x"}, []string{"a-b-c", "a-x", "a-b-c-9b6b0621", "a-b-x"}},
		"too long":                    {[]string{long + "@main"}, []string{strings.Repeat("l", 31) + "-7d0e03a0"}},
		"just fits":                   {[]string{long[1:] + "@main"}, []string{long[1:]}},
		"the hashed name of another":  {[]string{"rag@dev-x", "rag@dev/x", "rag-dev-x-4e567650@main"}, []string{"rag-dev-x", "rag-dev-x-443941aa", "rag-dev-x-4e567650"}},
		"not of a deployment":         {[]string{"sentry-check@main", "sentry-join-1@main", "sentry@gate", "sentry@main"}, []string{"check-85f9fc20", "join-1-2ac45804", "gate-b097958a", "sentry-main"}},
		"a long one of a rollback":    {[]string{"sentry-rollback-" + long + "@main"}, []string{"rollback-llllllllllllllllllllll-37e8682b"}},
		"of Sentry, and a deployment": {[]string{"sentry-checks@main", "sentry-join@main", "check@main"}, []string{"sentry-checks", "sentry-join", "check"}},
		"a branch that shows nothing": {[]string{"rag@日本", "rag@main"}, []string{"rag-x", "rag-main"}},
	}
	for name, tt := range tests {
		var refs []repo.Ref
		for _, ref := range tt.refs {
			r, branch, _ := strings.Cut(ref, "@")
			refs = append(refs, repo.Ref{Repository: r, Branch: branch})
		}
		got := Tasks(refs)
		for _, task := range got {
			if !dnsLabel.MatchString(task) || len(task) > 40 {
				t.Errorf("%s: task %q is no DNS label of at most 40 characters", name, task)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: tasks of %v (-want +got):\n%s", name, tt.refs, diff)
		}
	}
}

func TestManyTasksHaveDifferentNames(t *testing.T) {
	var refs []repo.Ref
	for i := range 500 {
		refs = append(refs, repo.Ref{Repository: strings.Repeat("r", 63), Branch: fmt.Sprintf("feature/%d", i)})
	}
	seen := map[string]repo.Ref{}
	for i, task := range Tasks(refs) {
		if other, taken := seen[task]; taken {
			t.Errorf("task %q is that of %s and of %s", task, other, refs[i])
		}
		seen[task] = refs[i]
	}
}

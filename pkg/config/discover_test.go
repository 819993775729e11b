package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

const discovers = `
repositories:
  - name: written
    monitor: {repo_url: https://git.example/team/written, repo_type: gitea, branches: [main]}
    deploy: {qa_repo_url: https://git.example/team/qa, repo_type: gitea, commands: [./run]}
discover:
  - host: https://git.example
    repo_type: gitea
    auth: {token: "${HUSH}"}
    owner: team
    match: 'svc-.*|written|sub/.*'
    exclude: svc-old
    template:
      deploy:
        qa_repo_url: ${repo_url}
        repo_type: gitea
        qa_repo_branch: ${repo_branch}
        project_name: of-${repo}
        commands: ["./deploy ${repo}"]
`

func foundOf(repositories ...discover.Repository) *discover.Found {
	return &discover.Found{Hash: fmt.Sprint(repositories), Lists: []discover.List{{
		Question: discover.Question{Host: "https://git.example", Owner: "team"}, Repositories: repositories,
	}}}
}

// hushed are options with the token.
func hushed() Options {
	opts := options()
	opts.LookupEnv = func(name string) (string, bool) { return "hush", name == "HUSH" }
	return opts
}

func one(id, name, path string) discover.Repository {
	return discover.Repository{ID: id, Name: name, Path: path, Branch: "trunk"}
}

// What was found is as if it stood in the file, with what is known of it in the places that the template names.
func TestFoundIsAsIfWritten(t *testing.T) {
	opts := hushed()
	opts.Found = foundOf(one("1", "svc-web", "team/svc-web"), one("2", "svc-api", "team/svc-renamed"))
	c, err := Parse([]byte(discovers), opts)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Repositories) != 3 || c.Discover[0].Watched != 2 || len(c.Warnings) > 0 {
		t.Fatalf("there are %+v, with the warnings %v", c.Repositories, c.Warnings)
	}
	written, _, _ := strings.Cut(discovers, "discover:")
	written += `
  - name: svc-web
    monitor: {repo_url: https://git.example/team/svc-web, repo_type: gitea, branches: [trunk], auth: {token: hush}}
    deploy: {qa_repo_url: https://git.example/team/svc-web, repo_type: gitea, qa_repo_branch: trunk,
      project_name: of-svc-web, commands: ["./deploy ${repo}"]}
  - name: svc-api
    monitor: {repo_url: https://git.example/team/svc-renamed, repo_type: gitea, branches: [trunk], auth: {token: hush}}
    deploy: {qa_repo_url: https://git.example/team/svc-renamed, repo_type: gitea, qa_repo_branch: trunk,
      project_name: of-svc-api, commands: ["./deploy ${repo}"]}
`
	same, err := Parse([]byte(written), options())
	if err != nil {
		t.Fatal(err)
	}
	for i := range same.Repositories {
		got, want := c.Repositories[i], same.Repositories[i]
		got.Monitor.Auth, want.Monitor.Auth = Auth{}, Auth{} // of which one is a variable
		if !reflect.DeepEqual(got.Deploy, want.Deploy) || !reflect.DeepEqual(got.Monitor, want.Monitor) || got.Name != want.Name || got.Project != want.Project {
			t.Errorf("what was found is %+v\nand written %+v", got, want)
		}
	}
	if got := c.Repositories[1].Monitor.Auth.Token.Reveal(); got != "hush" {
		t.Errorf("it is read with the token %q", got)
	}
	if c.Hash == Hash(Files{{Text: []byte(discovers)}}, nil) {
		t.Error("the hash is that of the file alone")
	}
}

// A repository that cannot be watched, or is not wanted, hinders no other one and is no mistake of the file.
func TestFoundThatIsLeftOut(t *testing.T) {
	archived, fork, empty := one("3", "svc-a", "team/svc-a"), one("4", "svc-f", "team/svc-f"), one("5", "svc-e", "team/svc-e")
	archived.Archived, fork.Fork, empty.Branch = true, true, ""
	for name, c := range map[string]struct {
		found []discover.Repository
		want  string // the warning, in part; "" = there is none
	}{
		"not wanted": {found: []discover.Repository{one("2", "other", "team/other"), one("2", "svc-old", "team/svc-old"), archived, fork, empty}},
		"with the name of one that is written": {[]discover.Repository{one("2", "written", "team/written")},
			"leaves out 1 of what was found: team/written, as name is the name of repositories[0] too; want another for each"},
		"with the name of one that was found first": {[]discover.Repository{one("2", "svc-web", "team/sub/svc-web"), one("3", "svc-web", "team/sub/x")},
			"leaves out 2 of what was found: team/sub/svc-web, as name is the name of team/svc-web too; want another for each; team/sub/x, as"},
		"on another server": {[]discover.Repository{one("2", "svc-x", "team/svc-x?.evil.example/svc-x"), one("3", "svc-y", "team/../../svc-y"), one("4", "svc-z", "team/svc-z#")},
			"leaves out 3 of what was found: team/svc-x?.evil.example/svc-x, as monitor.repo_url has a query (?)"},
		"with a branch that is none": {[]discover.Repository{{ID: "2", Name: "svc-x", Path: "team/svc-x", Branch: "a b"}},
			`team/svc-x, as deploy.qa_repo_branch is something else once "${repo_branch}" is expanded; want a branch name`},
		"that names a variable": {[]discover.Repository{one("2", "svc-x", "team/svc-${HOME}")}, "team/svc-${HOME}, as monitor.repo_url has a character in its path"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := hushed()
			opts.Found = foundOf(append([]discover.Repository{one("1", "svc-web", "team/svc-web")}, append(c.found, one("9", "svc-last", "team/svc-last"))...)...)
			cfg, err := Parse([]byte(discovers), opts)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, r := range cfg.Repositories {
				names = append(names, r.Name)
			}
			if want := []string{"written", "svc-web", "svc-last"}; !reflect.DeepEqual(names, want) {
				t.Errorf("there are %q, want %q", names, want)
			}
			if c.want == "" && len(cfg.Warnings) == 0 {
				return
			}
			if len(cfg.Warnings) != 1 || c.want == "" || !strings.Contains(cfg.Warnings[0].String(), c.want) {
				t.Errorf("the warnings are %v, want one with %q", cfg.Warnings, c.want)
			}
		})
	}
}

// The branch that a host names is that one, and no expression.
func TestDefaultBranchIsAName(t *testing.T) {
	opts := hushed()
	opts.Found = foundOf(discover.Repository{ID: "1", Name: "svc-web", Path: "team/svc-web", Branch: "(.|a)+"})
	c, err := Parse([]byte(strings.Replace(discovers, "        qa_repo_branch: ${repo_branch}\n", "", 1)), opts)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Repositories[1].Monitor.Branches, (repo.Patterns{repo.ExactPattern("(.|a)+")}); !reflect.DeepEqual(got, want) {
		t.Errorf("watched is %v, want %v", got, want)
	}
}

// An owner that grows takes up no more than its group has room for, and the configuration stays valid.
func TestFoundInAFullGroup(t *testing.T) {
	var all []discover.Repository
	for i := range 200 {
		all = append(all, one(fmt.Sprint(i), fmt.Sprint("svc-", i), fmt.Sprint("team/svc-", i)))
	}
	opts := hushed()
	opts.Found = foundOf(all...)
	c, err := Parse([]byte("groups: {shop: {}}\n"+strings.Replace(discovers, "    template:\n", "    template:\n      group: shop\n", 1)), opts)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Repositories) != 151 || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Message, "leaves out 50 of what was found: team/svc-150, as group has 150 members already") {
		t.Errorf("there are %d repositories, and the warnings %v", len(c.Repositories), c.Warnings)
	}
}

// Twenty thousand are read in a moment. What they have in common is in memory once.
func TestManyFound(t *testing.T) {
	var all []discover.Repository
	for i := range discover.Most {
		all = append(all, one(fmt.Sprint(i), fmt.Sprint("svc-", i), fmt.Sprint("team/svc-", i)))
	}
	opts := hushed()
	opts.Found = foundOf(all...)
	text := strings.NewReplacer("${repo_url}", "https://git.example/team/qa", "        project_name: of-${repo}\n", "").Replace(discovers)
	c, err := Parse([]byte(text), opts)
	if err != nil || len(c.Repositories) != discover.Most+1 {
		t.Fatalf("%d repositories, %v", len(c.Repositories), err)
	}
	if c.Repositories[1].Deploy != c.Repositories[discover.Most].Deploy {
		t.Error("each has its own copy of how it is deployed")
	}
}

// twoOwners has an entry for each of two owners, with what stands before, and in the templates.
func twoOwners(before, first, second string) string {
	entry := func(owner, more string) string {
		return fmt.Sprintf(`
  - host: https://git.example
    repo_type: gitea
    owner: %s
    template:
      %s
      deploy: {qa_repo_url: https://git.example/team/qa, repo_type: gitea, commands: [./run]}`, owner, more)
	}
	return before + "\ndiscover:" + entry("alpha", first) + entry("beta", second) + "\n"
}

func listOf(owner, file string, repositories ...discover.Repository) discover.List {
	return discover.List{Question: discover.Question{Host: "https://git.example", Owner: owner, File: file}, Repositories: repositories}
}

// Whatever an owner has, the file is as right or wrong as it was without.
func TestFoundMakesNoMistakeOfTheFile(t *testing.T) {
	var many []discover.Repository
	for i := range 150 {
		many = append(many, one(fmt.Sprint(i), fmt.Sprint("svc-", i), fmt.Sprint("alpha/svc-", i)))
	}
	needs := strings.Replace(twoOwners("groups: {shop: {execution_strategy: graph}}", "group: shop", "group: shop"), "deploy: {qa", "deploy: {needs: [base], qa", 2)
	needs = strings.Replace(needs, "deploy: {needs: [base], qa", "deploy: {qa", 1) // of the first one
	for name, c := range map[string]struct {
		text  string
		found []discover.Repository
		want  string // the error, in part; "" = none
	}{
		"the name of an example":      {twoOwners("", "", ""), []discover.Repository{one("1", "example-2", "alpha/example-2")}, ""},
		"as many as a group may have": {twoOwners("groups: {shop: {}}", "group: shop", "group: shop"), many, ""},
		"one that another needs":      {needs, []discover.Repository{one("1", "base", "alpha/base")}, "needs[0]: names no repository of the group"},
		"none that another needs":     {needs, nil, "needs[0]: names no repository of the group"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options()
			opts.Found = &discover.Found{Hash: "x", Lists: []discover.List{listOf("alpha", "", c.found...)}}
			_, err := Parse([]byte(c.text), opts)
			if got := fmt.Sprint(err); (err != nil) != (c.want != "") || !strings.Contains(got, c.want) {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
		})
	}
}

// What one entry's file was looked for says nothing of another's. An entry whose file is another one now goes on meanwhile.
func TestFoundOfAnotherFile(t *testing.T) {
	web := one("1", "web", "alpha/web")
	web.File = true
	opts := options()
	opts.Found = &discover.Found{Hash: "x", Lists: []discover.List{listOf("alpha", ".sentry.yaml", web)}}
	text := strings.Replace(twoOwners("", "", "name: prod-${repo}"), "owner: beta", "owner: alpha\n    file: .prod.yaml", 1)
	for file, want := range map[string]string{".sentry.yaml": "web", ".other.yaml": "web"} {
		c, err := Parse([]byte(strings.Replace(text, "owner: alpha", "owner: alpha\n    file: "+file, 1)), opts)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range c.Repositories {
			names = append(names, r.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("with the file %s watched is %q, want %q", file, got, want)
		}
	}
}

// A repository that two entries want is the first one's, also where their templates have other names. That is meant so, and no warning.
func TestFoundByTwoEntries(t *testing.T) {
	opts := options()
	opts.Found = &discover.Found{Hash: "x", Lists: []discover.List{listOf("alpha", "", one("1", "web", "alpha/web"), one("2", "api", "alpha/api"))}}
	text := strings.Replace(twoOwners("", "name: a-${repo}", "name: b-${repo}"), "owner: beta", "owner: alpha", 1)
	c, err := Parse([]byte(strings.Replace(text, "owner: alpha", "owner: alpha\n    match: web", 1)), opts)
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Repositories; len(r) != 2 || r[0].Name != "a-web" || r[1].Name != "b-api" || c.Discover[1].Watched != 1 || len(c.Warnings) > 0 {
		t.Errorf("there are %+v, with the warnings %v", r, c.Warnings)
	}
}

// A host is asked once for an owner, by one credential.
func TestOneOwnerHasOneCredential(t *testing.T) {
	text := strings.Replace(twoOwners("", "", ""), "owner: beta", "owner: alpha\n    auth: {token: \"${HUSH}\"}", 1)
	_, err := Parse([]byte(text), hushed())
	if err == nil || !strings.Contains(err.Error(), "discover[1].auth: or repo_type or api_url is not that of the entry before") {
		t.Errorf("the error is %v", err)
	}
}

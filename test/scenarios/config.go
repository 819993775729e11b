package scenarios

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/strategy/wasm/wasmtest"
)

// Place says where a case runs.
type Place struct {
	RepoURL  func(member string) string // of the watched repositories, of which the branch main is watched
	QAURL    string                     // of the QA repository, of which the branch main is cloned
	Type     string                     // repo_type of all of them; default git
	Username string                     // for all of them, such as ${GITEA_USERNAME}; default none
	Token    string
	Slack    int            // seconds added to every timeout, for pods that have to start; also to what outlasts others, a third
	Global   map[string]any // the section global, such as namespace and image
	Modules  string         // the folder in which modules of groups are put
}

type file struct {
	Groups       map[string]Group `yaml:"groups"`
	Repositories []repository     `yaml:"repositories"`
	Global       map[string]any   `yaml:"global,omitempty"`
}

type repository struct {
	Name    string `yaml:"name"`
	Group   string `yaml:"group"`
	Monitor struct {
		URL      string   `yaml:"repo_url"`
		Branches []string `yaml:"branches"`
		Type     string   `yaml:"repo_type"`
		Auth     *auth    `yaml:"auth,omitempty"`
	} `yaml:"monitor"`
	Deploy struct {
		URL      string   `yaml:"qa_repo_url"`
		Branch   string   `yaml:"qa_repo_branch"`
		Type     string   `yaml:"repo_type"`
		Auth     *auth    `yaml:"auth,omitempty"`
		Project  string   `yaml:"project_name"`
		Commands []string `yaml:"commands"`
		Rollback []string `yaml:"rollback_commands,omitempty"`
		Timeout  int      `yaml:"timeout,omitempty"`
		Wave     int      `yaml:"wave,omitempty"`
		Needs    []string `yaml:"needs,omitempty"`
	} `yaml:"deploy"`
}

type auth struct {
	Username string `yaml:"username"`
	Token    string `yaml:"token"`
}

// Config returns the sentry.yaml of the case at that place, and writes the module that it names.
func (c Case) Config(p Place) []byte {
	if c.Group.GlobalTimeout > 0 {
		c.Group.GlobalTimeout += p.Slack
	}
	if c.Answer != "" {
		c.Group.Wasm = c.module(p)
	}
	f := file{Groups: map[string]Group{c.Name: c.Group}, Global: p.Global}
	for _, m := range c.Members {
		f.Repositories = append(f.Repositories, c.repository(m, p))
	}
	text, err := yaml.Marshal(f)
	if err != nil {
		panic(fmt.Sprintf("case %s: %v", c.Name, err)) // Global holds what YAML has no word for
	}
	return text
}

// module writes the module of the group.
func (c Case) module(p Place) *Module {
	code := wasmtest.Answering(c.Answer)
	m := &Module{File: filepath.Join(p.Modules, c.Name+".wasm"), SHA256: fmt.Sprintf("%x", sha256.Sum256(code))}
	if err := os.WriteFile(m.File, code, 0o600); err != nil {
		panic(fmt.Sprintf("case %s: %v", c.Name, err)) // Modules is no folder of the test's
	}
	return m
}

func (c Case) repository(m Member, p Place) repository {
	r := repository{Name: m.Name, Group: c.Name}
	r.Monitor.URL, r.Deploy.URL = p.RepoURL(m.Name), p.QAURL
	r.Monitor.Branches, r.Deploy.Branch = []string{"main"}, "main"
	r.Monitor.Type = p.Type
	if p.Type == "" {
		r.Monitor.Type = "git"
	}
	r.Deploy.Type = r.Monitor.Type
	if p.Token != "" {
		r.Monitor.Auth = &auth{p.Username, p.Token}
		r.Deploy.Auth = r.Monitor.Auth
	}
	r.Deploy.Project, r.Deploy.Rollback = m.Name, c.Rollback
	r.Deploy.Wave, r.Deploy.Needs = c.Wave[m.Name], c.Needs[m.Name]
	for _, command := range m.Commands {
		r.Deploy.Commands = append(r.Deploy.Commands, strings.ReplaceAll(command, long, strconv.Itoa(3+p.Slack/3)))
	}
	if m.Timeout > 0 {
		r.Deploy.Timeout = m.Timeout + p.Slack
	}
	return r
}

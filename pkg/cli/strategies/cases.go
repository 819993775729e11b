package strategies

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// maxFile bounds a file of cases, in bytes.
const maxFile = 1 << 20

// file is one with cases.
type file struct {
	Wasm  string  `yaml:"wasm"`
	Needs string  `yaml:"needs"`
	Cases []*test `yaml:"cases"`
}

// test is one case.
type test struct {
	Name    string              `yaml:"name"`
	Members []member            `yaml:"members"`
	Needs   map[string][]string `yaml:"needs"`
	Refused string              `yaml:"refused"`
}

// member is one of a group, or its name alone.
type member struct {
	Name    string            `yaml:"name"`
	Project string            `yaml:"project"`
	Wave    int               `yaml:"wave"`
	Needs   []string          `yaml:"needs"`
	Labels  map[string]string `yaml:"labels"`
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (m *member) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&m.Name)
	}
	for i := 0; i+1 < len(n.Content); i += 2 { // KnownFields does not reach here
		switch key := n.Content[i].Value; key {
		case "name", "project", "wave", "needs", "labels":
		default:
			return fmt.Errorf("line %d: %q is no key of a member; want name, project, wave, needs or labels", n.Content[i].Line, key)
		}
	}
	type plain member
	return n.Decode((*plain)(m))
}

// read reads the cases of a file.
func read(path string) (*file, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the cases: %w", err)
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the cases: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d MiB; want the cases in several files", path, maxFile>>20)
	}
	var f file
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if (f.Wasm == "") == (f.Needs == "") || len(f.Cases) == 0 {
		return nil, fmt.Errorf("%s: %w", path, errNothing)
	}
	for i, c := range f.Cases {
		if c == nil || c.Name == "" || len(c.Members) == 0 || (c.Needs == nil) == (c.Refused == "") {
			return nil, fmt.Errorf("%s: case %d: want name, members, and needs or refused", path, i+1)
		}
	}
	return &f, nil
}

// group returns the members as sentry.yaml would have them.
func (c *test) group() []strategy.About {
	group := make([]strategy.About, len(c.Members))
	for i, m := range c.Members {
		group[i] = strategy.About(m)
		if m.Project == "" {
			group[i].Project = m.Name
		}
		group[i].Wave = max(m.Wave, 1)
	}
	return group
}

// check says what is wrong with an answer; "" when it is right.
func (c *test) check(got map[string][]string, err error) string {
	switch {
	case c.Refused != "" && err == nil:
		return fmt.Sprintf("got %v, want it refused with %q", sorted(got), c.Refused)
	case c.Refused != "" && !strings.Contains(err.Error(), c.Refused):
		return fmt.Sprintf("%v; want it refused with %q", err, c.Refused)
	case c.Refused != "":
		return ""
	case err != nil:
		return err.Error()
	case !reflect.DeepEqual(sorted(got), sorted(c.Needs)):
		return fmt.Sprintf("got %v, want %v", sorted(got), sorted(c.Needs))
	}
	return ""
}

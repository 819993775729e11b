package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
)

// Options say where variables come from.
type Options struct {
	// LookupEnv returns a variable, and whether it is set; nil = os.LookupEnv.
	LookupEnv func(string) (string, bool)
	// AllowUnsetAuth lets variables in auth and webhook_url be unset or empty, for whoever only wants to
	// see what would be made and needs no credential for that.
	AllowUnsetAuth bool
}

// Load reads the file at path. What is wrong in the file is an Errors that names the file; any other
// error is that of opening or reading it.
func Load(path string, opts Options) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	return Read(f, path, opts)
}

// Read reads the file that r gives; messages call it name. Its errors are those of Load.
func Read(r io.Reader, name string, opts Options) (*Config, error) {
	// One byte more than is allowed tells a file that is too large.
	data, err := io.ReadAll(io.LimitReader(r, schema.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	c, err := Parse(data, opts)
	var es Errors
	if errors.As(err, &es) {
		for i := range es {
			es[i].File = name
		}
		return nil, es
	}
	for i := range c.Warnings {
		c.Warnings[i].File = name
	}
	return c, nil
}

// Parse reads data, one YAML document. Its error is always an Errors: all that is wrong.
func Parse(data []byte, opts Options) (*Config, error) {
	var c *Config
	warnings, err := schema.Decode(data, opts.schema(), func(d *schema.Decoder, root *yaml.Node) { c = read(d, root) })
	return finish(c, data, warnings, err)
}

func (o Options) schema() schema.Options {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	return schema.Options{LookupEnv: o.LookupEnv, AllowUnset: o.AllowUnsetAuth, List: "repositories"}
}

// read reads the tree of a file.
func read(d *schema.Decoder, root *yaml.Node) *Config {
	var c Config
	t := newTables()
	d.Section("", root, t.file(&c))
	t.check(d, &c)
	return &c
}

func finish(c *Config, data []byte, warnings []Warning, err error) (*Config, error) {
	if err != nil {
		return nil, err
	}
	c.Warnings, c.Hash = warnings, fmt.Sprintf("%x", sha256.Sum256(data))[:12]
	return c, nil
}

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

// Options say where variables come from, and what kinds of hosts there are.
type Options struct {
	// LookupEnv returns a variable, and whether it is set; nil = os.LookupEnv.
	LookupEnv func(string) (string, bool)
	// AllowUnsetAuth lets variables in auth and webhook_url be unset or empty, for whoever only wants to
	// see what would be made and needs no credential for that.
	AllowUnsetAuth bool
	// Hosts are the kinds of hosts that there are. Package hosts lists them.
	Hosts []Host
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

// ReadFile returns the text of the file at path, and the Hash of a configuration that is read from it. A text that is longer than any
// configuration may be is cut off.
func ReadFile(path string) (data []byte, textHash string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	if data, err = readAll(f); err != nil {
		return nil, "", err
	}
	return data, hash(data), nil
}

// readAll reads one byte more than is allowed, which tells a file that is too large.
func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, schema.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return data, nil
}

func hash(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data))[:12] }

// Read reads the file that r gives; messages call it name. Its errors are those of Load.
func Read(r io.Reader, name string, opts Options) (*Config, error) {
	data, err := readAll(r)
	if err != nil {
		return nil, err
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
	warnings, err := schema.Decode(data, opts.schema(), func(d *schema.Decoder, root *yaml.Node) { c = read(d, root, opts.Hosts) })
	return finish(c, data, warnings, err)
}

func (o Options) schema() schema.Options {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	return schema.Options{LookupEnv: o.LookupEnv, AllowUnset: o.AllowUnsetAuth, List: "repositories"}
}

// read reads the tree of a file.
func read(d *schema.Decoder, root *yaml.Node, known []Host) *Config {
	var c Config
	t := newTables(known)
	d.Section("", root, t.file(&c))
	t.check(d, &c)
	return &c
}

func finish(c *Config, data []byte, warnings []Warning, err error) (*Config, error) {
	if err != nil {
		return nil, err
	}
	c.Warnings, c.Hash = warnings, hash(data)
	return c, nil
}

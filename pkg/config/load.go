package config

import (
	"fmt"
	"os"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/config/files"
	"github.com/tekton-sentry/sentry/pkg/config/order"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/strategy"
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
	// Expression reads those by which a group orders its members. Package strategy/cel has it.
	Expression order.Expression
	// Found is what was found of `discover`; nil = nothing is known.
	Found *discover.Found
	// Examples has each entry of `discover` give a repository that is made up, for whoever wants to see what would come of it.
	Examples bool
	// Modules asks the modules by which a group orders its members, when that is needed. Package strategy/wasm has it.
	Modules strategy.Modules
}

// File is one of the texts that are a configuration.
type File = schema.File

// Files are the texts that are one configuration.
type Files = schema.Files

// Load reads the files and folders at paths as one configuration. What is wrong in them is an Errors that names the files; any other
// error is that of opening or reading them.
func Load(opts Options, paths ...string) (*Config, error) {
	texts, err := files.Read(nil, paths)
	if err != nil {
		return nil, err
	}
	return ParseFiles(texts, opts)
}

// Parse reads data, one YAML document. Its error is always an Errors: all that is wrong.
func Parse(data []byte, opts Options) (*Config, error) { return ParseFiles(Files{{Text: data}}, opts) }

// ParseFiles reads files as one configuration. Its error is that of Parse.
func ParseFiles(texts Files, opts Options) (*Config, error) {
	var c *Config
	warnings, err := schema.Decode(texts, opts.schema(), func(d *schema.Decoder, root *yaml.Node) { c = read(d, root, opts) })
	return finish(c, texts, opts.Found, warnings, err)
}

// schema says how files are read. Teams that have a file each add groups and repositories; all else stands in one of the files.
func (o Options) schema() schema.Options {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	return schema.Options{LookupEnv: o.LookupEnv, AllowUnset: o.AllowUnsetAuth, List: "repositories", Shared: []string{"groups"}}
}

// read reads the tree of a file.
func read(d *schema.Decoder, root *yaml.Node, opts Options) *Config {
	var c Config
	t := newTables(opts.Hosts)
	t.expression, t.modules = opts.Expression, opts.Modules
	t.known, t.examples = opts.Found, opts.Examples
	d.Section("", root, t.file(&c))
	t.check(d, &c)
	return &c
}

// Hash returns what tells a configuration apart: Config.Hash of the files with what was found.
func Hash(texts Files, found *discover.Found) string {
	if found == nil || found.Hash == "" {
		return texts.Hash()
	}
	return append(slices.Clone(texts), File{Text: []byte(found.Hash)}).Hash()
}

func finish(c *Config, texts Files, found *discover.Found, warnings []Warning, err error) (*Config, error) {
	if err != nil {
		return nil, err
	}
	c.Warnings, c.Hash, c.Found = warnings, Hash(texts, found), found
	c.Files = texts.Hash()
	if len(c.Discover) > 0 { // variables may stand there, and have another value for another replica
		asked := slices.Clone(texts)
		for _, d := range c.Discover {
			asked = append(asked, File{Text: fmt.Appendf(nil, "%s %+v", d.URL, d.Wanted)})
		}
		c.Files = asked.Hash()
	}
	return c, nil
}

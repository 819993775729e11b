package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxFile is the largest file that is read, in bytes. A repository takes 300 to 600, so that 50,000 of them
// fit. A ConfigMap or Secret holds 1 MiB: a larger file has to be mounted from elsewhere.
const maxFile = 32 << 20

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
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
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
	if opts.LookupEnv == nil {
		opts.LookupEnv = os.LookupEnv
	}
	if len(data) > maxFile {
		return nil, Errors{{Line: 1, Message: fmt.Sprintf("the file is larger than %d MiB; want less: split it between two Sentrys", maxFile>>20)}}
	}
	if len(data) >= minChunked {
		if c, err, ok := readChunks(data, chunkSize, opts); ok {
			return c, err
		}
	}
	root, err := document(data)
	if err != nil {
		return nil, err
	}
	return read(data, root, nil, opts)
}

// readChunks reads a file in parts of about size bytes, and reports whether that was possible.
func readChunks(data []byte, size int, opts Options) (*Config, error, bool) {
	root, parts := chunks(data, size)
	if root == nil {
		return nil, nil, false
	}
	c, err := read(data, root, parts, opts)
	return c, err, !parts.broken
}

// read reads the tree of a file.
func read(data []byte, root *yaml.Node, parts *chunked, opts Options) (*Config, error) {
	c := &Config{Hash: fmt.Sprintf("%x", sha256.Sum256(data))[:12]}
	d := newDecoder(opts, len(data))
	d.parts = parts
	d.section("", root, fileFields(c))
	d.check(c)
	d.reportUnset()
	if len(d.errors) > 0 {
		slices.SortStableFunc(d.errors, compareErrors)
		return nil, d.errors
	}
	slices.SortStableFunc(d.warnings, func(a, b Warning) int { return compareErrors(Error(a), Error(b)) })
	c.Warnings = d.warnings
	return c, nil
}

// document returns the root of the only YAML document in data.
func document(data []byte) (*yaml.Node, error) {
	one := func(line int, message string) error { return Errors{{Line: line, Message: message}} }
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].ShortTag() == "!!null" {
		return nil, one(1, "the file is empty; want at least repositories")
	}
	if err == nil {
		if err = dec.Decode(&second); errors.Is(err, io.EOF) {
			return doc.Content[0], nil
		}
		if err == nil {
			return nil, one(second.Line, "a second YAML document starts here; want one document in the file")
		}
	}
	return nil, one(syntaxError(data, err))
}

var (
	yamlLine      = regexp.MustCompile(`^line (\d+): `)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// syntaxError returns the line and the text of an error of the YAML parser.
func syntaxError(data []byte, err error) (int, string) {
	line, message := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	if m := unknownAnchor.FindStringSubmatch(message); m != nil {
		// The parser gives no line; and the name is not repeated, since it may be a token that was not quoted.
		before, _, _ := bytes.Cut(data, []byte("*"+m[1]))
		return 1 + bytes.Count(before, []byte("\n")), "an alias (*) to an anchor (&) that is not in the file above it; want the anchor's name, or quotes around a text that starts with *"
	}
	return max(line, 1), fmt.Sprintf("not YAML: %s; look at this line and those around it: want spaces, not tabs, as indentation, and quotes around a text that holds a special character", message)
}

package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// MaxFile is the largest file that is read, in bytes. A repository takes 300 to 600, so that 50,000 of them
// fit. A ConfigMap or Secret holds 1 MiB: a larger file has to be mounted from elsewhere.
const MaxFile = 32 << 20

// Options say how a file is read.
type Options struct {
	// LookupEnv returns a variable, and whether it is set.
	LookupEnv func(string) (string, bool)
	// AllowUnset lets variables in secrets be unset or empty.
	AllowUnset bool
	// List is the key of the list that makes files large. It is read in parts.
	List string
}

// Decode reads data, one YAML document, by read, which is given the decoder and the root. Where a large file is read in
// chunks and that turns out to be impossible, read is called again. The error is an Errors.
func Decode(data []byte, opts Options, read func(d *Decoder, root *yaml.Node)) ([]Warning, error) {
	if len(data) > MaxFile {
		return nil, Errors{{Line: 1, Message: fmt.Sprintf("the file is larger than %d MiB; want less: split it between two Sentrys", MaxFile>>20)}}
	}
	if len(data) >= minChunked {
		if warnings, err, ok := DecodeChunks(data, chunkSize, opts, read); ok {
			return warnings, err
		}
	}
	root, err := document(data)
	if err != nil {
		return nil, err
	}
	return NewDecoder(opts, len(data)).decode(root, read)
}

// DecodeChunks is Decode for a file that is read in parts of about size bytes. It reports whether that was possible.
func DecodeChunks(data []byte, size int, opts Options, read func(d *Decoder, root *yaml.Node)) ([]Warning, error, bool) {
	root, parts := chunks(data, opts.List, size)
	if root == nil {
		return nil, nil, false
	}
	d := NewDecoder(opts, len(data))
	d.parts = parts
	warnings, err := d.decode(root, read)
	return warnings, err, !parts.broken
}

func (d *Decoder) decode(root *yaml.Node, read func(d *Decoder, root *yaml.Node)) ([]Warning, error) {
	read(d, root)
	if err := d.Err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(d.warnings, func(a, b Warning) int { return compareErrors(Error(a), Error(b)) })
	return d.warnings, nil
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

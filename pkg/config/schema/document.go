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
	// List is the key of the list that makes files large. It is read in parts. Where there are several files, each adds to it.
	List string
	// Shared are the keys of sections to which each of several files adds.
	Shared []string
}

// Decode reads files, one YAML document each, by read, which is given the decoder and the root. Where large files are read in
// chunks and that turns out to be impossible, read is called again. The error is an Errors.
func Decode(files Files, opts Options, read func(d *Decoder, root *yaml.Node)) ([]Warning, error) {
	size := files.Size()
	if size > MaxFile {
		return nil, tooLarge(files)
	}
	if size >= minChunked {
		if warnings, err, ok := DecodeChunks(files, chunkSize, opts, read); ok {
			return warnings, err
		}
	}
	return decode(files, 0, opts, read)
}

func tooLarge(files Files) Errors {
	what := "the file is"
	if len(files) > 1 {
		what = "the files together are"
	}
	return Errors{{File: files[0].Name, Line: 1, Message: fmt.Sprintf("%s larger than %d MiB; want less: split it between two Sentrys", what, MaxFile>>20)}}
}

// DecodeChunks is Decode for files that are read in parts of about size bytes. It reports whether that was possible.
func DecodeChunks(files Files, size int, opts Options, decode func(d *Decoder, root *yaml.Node)) ([]Warning, error, bool) {
	t, err := read(files, opts, size)
	if err != nil {
		return nil, err, false
	}
	if t.parts == nil {
		return nil, nil, false
	}
	warnings, err := t.decode(files.Size(), opts, decode)
	return warnings, err, !t.parts.broken
}

func decode(files Files, size int, opts Options, decode func(d *Decoder, root *yaml.Node)) ([]Warning, error) {
	t, err := read(files, opts, size)
	if err != nil {
		return nil, err
	}
	return t.decode(files.Size(), opts, decode)
}

func (t *tree) decode(size int, opts Options, read func(d *Decoder, root *yaml.Node)) ([]Warning, error) {
	d := NewDecoder(opts, size)
	d.all = t
	read(d, t.root)
	if es, ok := errors.AsType[Errors](d.Err()); ok {
		for i := range es {
			es[i] = t.local(es[i], opts.List)
		}
		return nil, es
	}
	slices.SortStableFunc(d.warnings, func(a, b Warning) int { return compareErrors(Error(a), Error(b)) })
	for i, w := range d.warnings {
		d.warnings[i] = Warning(t.local(Error(w), opts.List))
	}
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

package term

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Format is how a list is printed.
type Format string

// The formats of lists.
const (
	Plain Format = "table"
	Wide  Format = "wide"
	Name  Format = "name" // TYPE/NAME of each object, to hand to kubectl
	JSON  Format = "json"
	YAML  Format = "yaml"
)

// Lists are the formats of a list of objects, and Answers those of what is no such list.
var (
	Lists   = []Format{Plain, Wide, Name, JSON, YAML}
	Answers = []Format{Plain, JSON, YAML}
)

// Output is a command's flag --output: one of the formats that it has.
type Output struct {
	Format
	of []Format
}

// OutputOf returns the flag of a command that has these formats, of which the first is the default.
func OutputOf(formats []Format) Output { return Output{formats[0], formats} }

// String implements pflag.Value.
func (o *Output) String() string { return string(o.Format) }

// Type implements pflag.Value.
func (o *Output) Type() string { return "format" }

// Set implements pflag.Value.
func (o *Output) Set(s string) error {
	if !slices.Contains(o.of, Format(s)) {
		return errors.New("want " + o.Want())
	}
	o.Format = Format(s)
	return nil
}

// Want says what values there are.
func (o *Output) Want() string {
	words := o.Complete()
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Complete returns the values.
func (o *Output) Complete() []string {
	words := make([]string, len(o.of))
	for i, f := range o.of {
		words[i] = string(f)
	}
	return words
}

// Encode writes a value for machines, as JSON or YAML.
func Encode(w io.Writer, value any, f Format) error {
	var text bytes.Buffer
	e := json.NewEncoder(Screen{Writer: &text}) // YAML does not take control characters either
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		return err
	}
	out := text.Bytes()
	if f == YAML {
		var err error
		if out, err = yaml.JSONToYAML(out); err != nil {
			return err
		}
	}
	_, err := w.Write(out)
	return err
}

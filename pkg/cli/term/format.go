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

var formats = []string{string(Plain), string(Wide), string(Name), string(JSON), string(YAML)}

// String implements pflag.Value.
func (f *Format) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *Format) Type() string { return "format" }

// Set implements pflag.Value.
func (f *Format) Set(s string) error {
	if !slices.Contains(formats, s) {
		return errors.New("want " + f.Want())
	}
	*f = Format(s)
	return nil
}

// Want says what values there are.
func (f *Format) Want() string {
	last := len(formats) - 1
	return strings.Join(formats[:last], ", ") + " or " + formats[last]
}

// Complete returns the values.
func (f *Format) Complete() []string { return formats }

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

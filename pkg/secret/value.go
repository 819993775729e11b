// Package secret holds what must not be printed: values of the file that may be credentials, beside the
// ${VAR} references that they come from. It also finds credentials in texts that others write.
package secret

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"unique"
)

// Value is a string of the file after ${VAR} expansion, beside the text it was expanded from. It may be
// a secret, so every way of printing it gives "[redacted]"; only Reveal gives the value. Equal values are one in memory, as
// thousands of repositories have the same credential.
type Value struct {
	pair unique.Handle[pair] // the zero Handle is that of the empty pair
}

type pair struct{ text, value string }

// New returns the value of text that expanded to value.
func New(text, value string) Value {
	if text == "" && value == "" {
		return Value{} // equal to the zero Value
	}
	return Value{unique.Make(pair{text, value})}
}

func (v Value) get() pair {
	if v == (Value{}) {
		return pair{}
	}
	return v.pair.Value()
}

// Text returns the value as it is written in the file. It is a secret itself where it holds no reference.
func (v Value) Text() string { return v.get().text }

// Reveal returns the expanded value.
func (v Value) Reveal() string { return v.get().value }

// IsSet reports whether something was written, even where it expanded to nothing.
func (v Value) IsSet() bool { return v.Text() != "" }

var oneVariable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)(:-)?\}$`)

// Variable returns the name of the variable when the whole text is one reference ${NAME}; otherwise "".
func (v Value) Variable() string {
	if m := oneVariable.FindStringSubmatch(v.Text()); m != nil {
		return m[1]
	}
	return ""
}

// Variables returns the names of all variables that the text refers to.
func (v Value) Variables() []string {
	var names []string
	for _, m := range reference.FindAllStringSubmatch(v.Text(), -1) {
		if m[1] != "" {
			names = append(names, m[1])
		}
	}
	return names
}

// String hides the value.
func (v Value) String() string {
	if v.Reveal() == "" {
		return ""
	}
	return "[redacted]"
}

// GoString hides the value from whoever asks for Go syntax.
func (v Value) GoString() string { return v.String() }

// Format hides the value from every verb of package fmt. String and GoString are not enough: fmt does not
// ask them for verbs that are not for strings, such as %d, and prints the fields.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, v.String()) }

// LogValue hides the value from slog.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalText hides the value from encoders.
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

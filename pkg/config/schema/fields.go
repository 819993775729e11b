package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/secret"
)

// maxSeconds bounds every time: seven days.
const maxSeconds = 7 * 24 * 60 * 60

// Section is a mapping with these keys.
func Section(key string, fields ...Field) Field {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Key
	}
	return Field{Key: key, Kind: "section", Want: fmt.Sprintf("a section with the keys %s", strings.Join(names, ", ")), Fields: fields,
		Read: func(d *Decoder, path string, n *yaml.Node) { d.Section(path, n, fields) }}
}

// Text is a text that ok accepts.
func Text[T ~string](key string, p *T, want string, ok func(string) bool) Field {
	return Field{Key: key, Kind: "string", Want: want,
		Read: func(d *Decoder, path string, n *yaml.Node) {
			v, fine := d.Value(path, n, want)
			switch {
			case !fine:
			case !ok(v.Reveal()):
				d.Mismatch(path, v.Reveal(), want)
			default:
				*p = T(v.Reveal())
			}
		}}
}

// Address is a URL, which is never repeated in an error: it may hold a password.
func Address(key string, p *string, want string, parse func(string) (string, error)) Field {
	return Field{Key: key, Kind: "string", Want: want, Address: true,
		Read: func(d *Decoder, path string, n *yaml.Node) {
			v, ok := d.Value(path, n, want)
			if !ok {
				return
			}
			var err error
			if *p, err = parse(v.Reveal()); err != nil {
				d.Fail(path, "%v", err)
			}
		}}
}

// Secret is a value that no error repeats.
func Secret(key string, p *secret.Value, want string) Field {
	return Field{Key: key, Kind: "string", Want: want, Hidden: true,
		Read: func(d *Decoder, path string, n *yaml.Node) {
			v, ok := d.Secret(path, n, want)
			switch {
			case !ok:
			case v.Reveal() == "" && !d.opts.AllowUnset:
				what := "is empty"
				if name := v.Variable(); name != "" {
					what = fmt.Sprintf("is empty, since the variable %s is unset or empty", name)
				}
				d.Fail(path, "%s; want a value, or no auth at all for a public repository", what)
			default:
				*p = v
			}
		}}
}

// Enum is one of the options, the first of which is the default unless another is given.
func Enum[T ~string](key string, p *T, options ...T) Field {
	words := make([]string, len(options))
	for i, o := range options {
		words[i] = string(o)
	}
	return Choice(key, p, words).Or(words[0])
}

// Choice is one of the words, without a default.
func Choice[T ~string](key string, p *T, words []string) Field {
	f := Text(key, p, OneOf(words), func(s string) bool { return slices.Contains(words, s) })
	f.Options = words
	return f
}

// Integer is a whole number within bounds.
func Integer(key string, p *int, low, high int) Field {
	want := fmt.Sprintf("%d to %d", low, high)
	return Field{Key: key, Kind: "integer", Want: want, Low: low, High: high,
		Read: func(d *Decoder, path string, n *yaml.Node) {
			if i, ok := d.Number(path, n, "a whole number, "+want, low, high); ok {
				*p = i
			}
		}}
}

// Seconds is a time of at least low seconds, and at most seven days.
func Seconds(key string, p *time.Duration, low int) Field {
	want := fmt.Sprintf("%d to %d", low, maxSeconds)
	return Field{Key: key, Kind: "seconds", Want: want, Low: low, High: maxSeconds,
		Read: func(d *Decoder, path string, n *yaml.Node) {
			if i, ok := d.Number(path, n, "seconds as a whole number, "+want, low, maxSeconds); ok {
				*p = time.Duration(i) * time.Second
			}
		}}
}

// SecondsOrZero is a time of which 0 means something else than a short one.
func SecondsOrZero(key string, p *time.Duration, low, high int) Field {
	want := fmt.Sprintf("0, or %d to %d", low, high)
	return Field{Key: key, Kind: "seconds", Want: want, Low: low, High: high, OrZero: true,
		Read: func(d *Decoder, path string, n *yaml.Node) {
			want := "seconds as a whole number, " + want
			i, ok := d.Number(path, n, want, 0, high)
			switch {
			case !ok:
			case 0 < i && i < low:
				d.Mismatch(path, strconv.Itoa(i), want)
			default:
				*p = time.Duration(i) * time.Second
			}
		}}
}

// Boolean is true or false.
func Boolean(key string, p *bool) Field {
	return Field{Key: key, Kind: "boolean", Want: "true or false",
		Read: func(d *Decoder, path string, n *yaml.Node) {
			v, ok := d.Value(path, n, "true or false")
			switch {
			case !ok:
			case v.Reveal() != "true" && v.Reveal() != "false":
				d.Mismatch(path, v.Reveal(), "true or false")
			default:
				*p = v.Reveal() == "true"
			}
		}}
}

// Number reads a whole decimal number within bounds.
func (d *Decoder) Number(path string, n *yaml.Node, want string, low, high int) (int, bool) {
	v, ok := d.Value(path, n, want)
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(v.Reveal())
	if err != nil || i < low || i > high {
		d.Mismatch(path, v.Reveal(), want)
		return 0, false
	}
	return i, true
}

package jsonstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// plain reads a value as encoding/json does into an any, but for numbers, which stay as they are written.
func plain(r *Reader) any {
	switch r.peek() {
	case '{':
		fields := map[string]any{}
		for name := range r.Fields() {
			fields[name] = plain(r)
		}
		return fields
	case '[':
		items := []any{}
		for range r.Items() {
			items = append(items, plain(r))
		}
		return items
	case '"':
		return r.Text()
	}
	switch s := r.Scalar(); s {
	case "null":
		return nil
	case "true", "false":
		return s == "true"
	default:
		return json.Number(s)
	}
}

func compare(t *testing.T, text string) {
	t.Helper()
	if len(text) > maxText {
		return
	}
	var want any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	wrong := d.Decode(&want)
	if wrong == nil && len(strings.TrimLeft(text[d.InputOffset():], " \t\r\n")) > 0 {
		wrong = errors.New("more follows")
	}
	r := New(iotest.OneByteReader(strings.NewReader(text)))
	got := plain(r)
	err := r.End()
	if (err == nil) != (wrong == nil) {
		t.Errorf("%q: error %v, want %v", text, err, wrong)
	} else if err == nil && fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q: %v, want %v", text, got, want)
	}
	skipped := New(strings.NewReader(text))
	skipped.Skip()
	if err := skipped.End(); (err == nil) != (wrong == nil) && wrong == nil {
		t.Errorf("%q passed over: %v, want no error", text, err)
	}
}

var texts = []string{
	`{"a":[1,2,{"b":null}],"c":"d","e":-1.5e3,"f":true}`, ` [ ] `, `{}`, `"x"`, `[[],[[]]]`, "\t\n\r 0",
	`"\u00e9\ud83d\ude00\n\"\\"`, `"\x"`, `"\u12"`, `"\ud800"`, "\"\xff\"", "\"\x01\"", `[1,]`, `[,1]`, `[1 2]`, `{"a"}`, `{"a":}`,
	`{"a":1,}`, `{a:1}`, `[1}`, `{"a":1]`, `01`, `nul`, `nullx`, `1e`, `[`, `{`, `"`, `"\`, `[1`, `{"a"`, `{"a":`, `{"a":1`, `1 2`, `]`, ``, `:`, `{"a":1"b":2}`,
}

func TestReader(t *testing.T) {
	for _, text := range texts {
		compare(t, text)
	}
}

// Whatever is not cut is read as encoding/json reads it.
func FuzzReader(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		// A limit of ours, and none of encoding/json.
		if strings.Count(text, "[")+strings.Count(text, "{") > maxDepth || longNumber(text) {
			return
		}
		compare(t, text)
	})
}

func longNumber(text string) bool {
	n := 0
	for _, c := range []byte(text) {
		if strings.IndexByte("0123456789+-.eE", c) < 0 {
			n = 0
		} else if n++; n > maxScalar {
			return true
		}
	}
	return false
}

// What is not read is passed over, and what has another shape is told of once, and costs that value alone.
func TestShape(t *testing.T) {
	r := New(strings.NewReader(`{"a":{"b":[1,{"c":2}]},"name":[7],"d":"x","e":null,"f":{"g":"h"}}`))
	got := ""
	for field := range r.Fields() {
		switch field {
		case "name", "d", "e":
			got += field + "=" + r.Text() + " "
		case "f":
			for range r.Items() {
				got += "an item"
			}
		}
		if err := r.Shape(); err != nil {
			got += field + " has no such shape "
		}
	}
	if want := "name= name has no such shape d=x e= f has no such shape "; got != want || r.End() != nil {
		t.Errorf("%q and %v, want %q and no error", got, r.End(), want)
	}
	r = New(strings.NewReader(`[1,2,3,[4]] `))
	for range r.Items() {
		break
	}
	if err := r.End(); err != nil {
		t.Errorf("after a loop that was left: %v, want the rest to be passed over", err)
	}
}

// A text that is cut keeps whole escapes, and stays longer than any name.
func TestLongText(t *testing.T) {
	for _, unit := range []string{"x", `\u00e9`, `\\`, "é"} {
		r := New(strings.NewReader(`["` + strings.Repeat(unit, 1<<20) + `","next"]`))
		var got []string
		for range r.Items() {
			got = append(got, r.Text())
		}
		if err := r.End(); err != nil || len(got) != 2 || got[1] != "next" || len(got[0]) <= 255 || len(got[0]) > maxText+3 {
			t.Errorf("%s: %d texts, error %v", unit, len(got), err)
		}
	}
}

// An answer without an end, in any place, is read in the memory that a small one takes.
func TestEndlessIsBounded(t *testing.T) {
	const size, most = 4 << 20, 1 << 20
	for _, unit := range []string{"{},", "[],", "0,", "[", "{\"x\":", `"x",`, `\"`, "1", " ", "x", `"` + strings.Repeat("y", 300) + `",`} {
		for _, start := range []string{"[", `["`, `{"x":`, `{"`, ""} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := New(io.MultiReader(strings.NewReader(start), io.LimitReader(endless(unit), size)))
			r.Skip()
			err := r.End()
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; err == nil || got > most {
				t.Errorf("%s%s…: error %v, and %d bytes allocated, want at most %d", start, unit, err, got, most)
			}
		}
	}
}

type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n+len(e) <= len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

// ones is a list without an end. It counts what is read of it.
type ones struct{ read int }

func (o *ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "[1,"[min(o.read, 1+o.read%2)]
		o.read++
	}
	return len(p), nil
}

func TestStop(t *testing.T) {
	in := new(ones)
	v := New(in)
	for range v.Items() {
		v.Stop()
		break
	}
	if v.End() == nil || in.read > 1<<20 {
		t.Errorf("%d bytes were read after a stop, with error %v, want no more than were buffered, and an error", in.read, v.End())
	}
}

package state

import (
	"bytes"
	"strings"
	"testing"
)

const golden = `{"version":1,"epoch":"e1","repositories":{` +
	`"gone":{"unseen":true,"floor":2},` +
	`"rag":{"branches":{` +
	`"feat/$(HOME)":{"sha":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","time":"2026-03-01T12:00:00Z"},` +
	`"main":{"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","n":3,"time":"2026-03-01T12:00:00Z","missing":1}},` +
	`"floor":7,"problem":{"kind":"denied","message":"no","since":"2026-03-01T12:00:00Z"}}},` +
	`"problems":{"rag.main":{"kind":"qa","message":"no","since":"2026-03-01T12:00:00Z"}}}`

// What is stored today must be readable tomorrow, so the very bytes are pinned.
func TestEncode(t *testing.T) {
	for range 10 {
		got, err := Encode(full())
		if err != nil || string(got) != golden {
			t.Fatalf("Encode =\n%s, %v, want\n%s", got, err, golden)
		}
	}
	back, err := Decode([]byte(golden))
	if err != nil || !back.Equal(full()) {
		t.Errorf("Decode(%s) = %+v, %v, want %+v", golden, back, err, full())
	}
}

func TestEncodeEmpty(t *testing.T) {
	data, err := Encode(Snapshot{})
	if err != nil || string(data) != `{"version":1}` {
		t.Errorf("Encode of an empty snapshot = %s, %v", data, err)
	}
	if s, err := Decode(data); err != nil || !s.Equal(Snapshot{}) {
		t.Errorf("Decode(%s) = %+v, %v, want an empty snapshot", data, s, err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	s := full()
	s.Repositories["rag"].Branches["x"] = Branch{SHA: "xyz"}
	data, err := Encode(s)
	want := `encode the state: repository "rag": branch "x": sha: object name of 3 characters, want 40 or 64 hexadecimal digits`
	if data != nil || err == nil || err.Error() != want {
		t.Errorf("Encode = %q, %v, want error %q", data, err, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(golden, old) {
			t.Fatalf("the golden state has no %s", old)
		}
		return strings.Replace(golden, old, new, 1)
	}
	tests := map[string]struct{ in, want string }{
		"nothing":           {"", "it is empty"},
		"blank":             {" \n", "it is empty"},
		"null":              {"null", "it has no format version"},
		"no version":        {"{}", "it has no format version"},
		"other JSON":        {"[]", "cannot unmarshal array"},
		"cut short":         {golden[:len(golden)/2], "unexpected end of JSON input"},
		"binary":            {"\x00\x01", "invalid character"},
		"two documents":     {golden + golden, "invalid character '{' after top-level value"},
		"negative version":  {replace(`"version":1`, `"version":-1`), "it has no format version"},
		"newer":             {`{"version":2,"new":[]}`, "it has format version 2 and this Sentry reads 1: run the newer Sentry that wrote it"},
		"unknown field":     {replace(`"epoch"`, `"epoque"`), `unknown field "epoque"`},
		"wrong type":        {replace(`"floor":7`, `"floor":"7"`), "cannot unmarshal string into Go struct field"},
		"short SHA":         {replace("aaaa", "aaa"), `repository "rag": branch "main": sha: object name of 39 characters`},
		"upper-case SHA":    {replace("aaaa", "AAAA"), `repository "rag": branch "main": sha: object name`},
		"null SHA":          {replace(strings.Repeat("a", 40), strings.Repeat("0", 40)), `repository "rag": branch "main": sha: object name of zeros`},
		"no SHA":            {replace(`"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",`, ""), `repository "rag": branch "main": sha: object name of 0`},
		"bad branch":        {replace(`"main"`, `"ma..in"`), `repository "rag": branch "ma..in" is not a branch name: it contains ..`},
		"empty branch":      {replace(`"main"`, `""`), `repository "rag": branch "" is not a branch name: it is empty`},
		"nameless":          {replace(`"gone"`, `""`), "a repository without a name"},
		"negative n":        {replace(`"n":3`, `"n":-3`), `repository "rag": branch "main": n is -3, want 0 to 1000000000`},
		"huge n":            {replace(`"n":3`, `"n":9223372036854775807`), `branch "main": n is 9223372036854775807`},
		"negative missing":  {replace(`"missing":1`, `"missing":-1`), `branch "main": missing is -1`},
		"negative floor":    {replace(`"floor":2`, `"floor":-2`), `repository "gone": floor is -2`},
		"unseen, yet known": {replace(`"rag":{`, `"rag":{"unseen":true,`), `repository "rag": it is unseen and has branches`},
		"bad time":          {replace("2026-03-01", "yesterday"), "parsing time"},
		"too big":           {strings.Repeat(" ", MaxSize) + golden, "it has more than 67108864 bytes"},
	}
	for name, tt := range tests {
		s, err := Decode([]byte(tt.in))
		if err == nil {
			t.Errorf("%s: Decode(%.200q) = %+v, want an error with %q", name, tt.in, s, tt.want)
			continue
		}
		if !s.Equal(Snapshot{}) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Decode(%.200q) = %+v, %v, want an error with %q", name, tt.in, s, err, tt.want)
		}
		if !strings.Contains(err.Error(), "delete") || len(err.Error()) > 700 {
			t.Errorf("%s: the error does not say what to do, or has %d bytes: %v", name, len(err.Error()), err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":2,"x":1}`))
	f.Add([]byte(`{"version":1,"repositories":{"a":{"branches":{"b":{"sha":"` + string(shaA) + `","time":"0000-01-01T00:00:00+23:59"}}}}}`))
	f.Add([]byte(`{"version":1,"repositories":{"a":{"problem":{}},"\ud800":{}},"problems":{"":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err != nil {
			return
		}
		one, err := Encode(s)
		if err != nil {
			t.Fatalf("Decode(%q) = %+v, which does not encode: %v", data, s, err)
		}
		back, err := Decode(one)
		if err != nil || !back.Equal(s) {
			t.Fatalf("Decode(%q) = %+v, encoded %s, and back %+v, %v", data, s, one, back, err)
		}
		two, err := Encode(back)
		if err != nil || !bytes.Equal(one, two) {
			t.Fatalf("Encode twice: %s, then %s, %v", one, two, err)
		}
	})
}

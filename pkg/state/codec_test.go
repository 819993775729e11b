package state

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

const golden = `{"version":3,"epoch":"e1","repositories":{` +
	`"gone":{"unseen":true,"floor":2},` +
	`"rag":{"branches":{` +
	`"feat/$(HOME)":{"sha":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","time":"2026-03-01T12:00:00Z"},` +
	`"main":{"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","n":3,"time":"2026-03-01T12:00:00Z","missing":1}},` +
	`"floor":7,"problem":{"kind":"denied","message":"no","since":"2026-03-01T12:00:00Z"}}},` +
	`"units":{"rag.main":{"problem":{"kind":"qa","message":"no","since":"2026-03-01T12:00:00Z"}}}}`

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
	if err != nil || string(data) != `{"version":3}` {
		t.Errorf("Encode of an empty snapshot = %s, %v", data, err)
	}
	if s, err := Decode(data); err != nil || !s.Equal(Snapshot{}) {
		t.Errorf("Decode(%s) = %+v, %v, want an empty snapshot", data, s, err)
	}
}

// An entry that is none costs that entry: it is written as it is, and read as damaged. Sound tells beforehand.
func TestEncodeOfAnInvalidEntry(t *testing.T) {
	never := time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		name    string
		r       Repository
		problem string // "" for what can be written
	}{
		"n":           {"bad", Repository{Branches: NewBranches(map[string]Branch{"main": {SHA: shaA, N: 1_000_000_000}})}, "n is 1000000000, want 0 to 999000000"},
		"floor":       {"bad", Repository{Floor: -1}, "floor is -1"},
		"SHA":         {"bad", Repository{Branches: NewBranches(map[string]Branch{"main": {SHA: "xyz"}})}, "object name of 3 characters"},
		"branch":      {"bad", Repository{Branches: NewBranches(map[string]Branch{"a..b": {SHA: shaA}})}, "it contains"},
		"no UTF-8":    {"bad", Repository{Branches: NewBranches(map[string]Branch{"a\xffb..": {SHA: shaA}})}, "it contains"},
		"unseen":      {"bad", Repository{Unseen: true, Branches: NewBranches(map[string]Branch{"main": {SHA: shaA}})}, "it is unseen and has branches"},
		"no name":     {"", Repository{Floor: 1}, "without a name"},
		"branch time": {"bad", Repository{Branches: NewBranches(map[string]Branch{"main": {SHA: shaA, Time: never}})}, ""},
		"problem":     {"bad", Repository{Problem: &Problem{Since: never, Message: "\xff\x00"}}, ""},
	}
	for name, tt := range tests {
		s := full()
		s.Repositories[tt.name] = tt.r
		for what, s := range map[string]Snapshot{"as it is": s, "sound": s.Sound()} {
			data, err := Encode(s)
			if err != nil {
				t.Errorf("%s, %s: Encode: %v", name, what, err)
				continue
			}
			back, err := Decode(data)
			if err != nil {
				t.Fatalf("%s, %s: Decode(%s): %v", name, what, data, err)
			}
			entry := back.Repositories[tt.name]
			if tt.problem != "" && (entry.Damaged == nil || !strings.Contains(entry.Problem.Message, tt.problem)) || tt.problem == "" && entry.Damaged != nil {
				t.Errorf("%s, %s: read back as %+v, want damaged with %q", name, what, entry, tt.problem)
			}
			if what == "sound" && tt.problem != "" && !back.Equal(s) {
				t.Errorf("%s: read back as %+v, want what was said to be written: %+v", name, back, s)
			}
			delete(back.Repositories, tt.name)
			if !back.Equal(full()) {
				t.Errorf("%s, %s: the other entries are %+v, want them as they were", name, what, back)
			}
		}
	}
	if s := full(); !s.Sound().Equal(s) {
		t.Error("a sound snapshot changes")
	}
}

func TestDecodeRefuses(t *testing.T) {
	replace := func(old, new string) string { return replaced(t, old, new) }
	tests := map[string]struct{ in, want string }{
		"nothing":          {"", "it is empty"},
		"blank":            {" \n", "it is empty"},
		"null":             {"null", "it has no format version"},
		"no version":       {"{}", "it has no format version"},
		"other JSON":       {"[]", "it is a JSON array, which does not belong there"},
		"cut short":        {golden[:len(golden)/2], "unexpected end of JSON input"},
		"binary":           {"\x00\x01", "invalid character"},
		"two documents":    {golden + golden, "invalid character '{' after top-level value"},
		"negative version": {replace(`"version":3`, `"version":-1`), "it has no format version"},
		"newer":            {`{"version":6,"new":[]}`, "it has format version 6 and this Sentry reads 5: run the newer Sentry that wrote it"},
		"one of several":   {`{"version":2,"parts":["a"]}`, "it has format version 2, which does not belong here"},
		"several of today": {`{"version":4,"parts":["a"]}`, "it has format version 4, which does not belong here"},
		"packed":           {`{"version":5,"parts":["a"]}`, "it has format version 5, which does not belong here"},
		"other spelling":   {replace(`"epoch"`, `"Epoch"`), `"Epoch" is spelled otherwise`},
		"a field twice":    {replace(`"epoch":"e1"`, `"epoch":"e1","epoch":"e2"`), `"epoch" is there twice`},
		"an entry twice":   {replace(`"gone":`, `"rag":{},"gone":`), `"rag" is there twice`},
		"no entries":       {replace(`"units":{`, `"units":[],"more":{`), `units: it is no JSON object`},
		"too big":          {strings.Repeat(" ", MaxSize) + golden, "it has more than 67108864 bytes"},
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

func replaced(t *testing.T, old, new string) string {
	t.Helper()
	if !strings.Contains(golden, old) {
		t.Fatalf("the golden state has no %s", old)
	}
	return strings.Replace(golden, old, new, 1)
}

// An entry that Sentry did not write costs that entry alone: the others are read, it is no "never seen",
// and a save writes it back as it was.
func TestDecodeSetsDamagedEntriesAside(t *testing.T) {
	replace := func(old, new string) string { return replaced(t, old, new) }
	tests := map[string]struct{ in, want string }{
		"wrong type":        {replace(`"floor":7`, `"floor":"7"`), "floor: it is a JSON string, which does not belong there"},
		"short SHA":         {replace("aaaa", "aaa"), `repository "rag": branch "main": sha: object name of 39 characters`},
		"upper-case SHA":    {replace("aaaa", "AAAA"), `repository "rag": branch "main": sha: object name`},
		"null SHA":          {replace(strings.Repeat("a", 40), strings.Repeat("0", 40)), `repository "rag": branch "main": sha: object name of zeros`},
		"no SHA":            {replace(`"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",`, ""), `repository "rag": branch "main": sha: object name of 0`},
		"bad branch":        {replace(`"main"`, `"ma..in"`), `repository "rag": branch "ma..in" is not a branch name: it contains ..`},
		"empty branch":      {replace(`"main"`, `""`), `repository "rag": branch "" is not a branch name: it is empty`},
		"nameless":          {replace(`"gone"`, `""`), "a repository without a name"},
		"negative n":        {replace(`"n":3`, `"n":-3`), `repository "rag": branch "main": n is -3, want 0 to 999000000`},
		"huge n":            {replace(`"n":3`, `"n":9223372036854775807`), `branch "main": n is 9223372036854775807`},
		"negative missing":  {replace(`"missing":1`, `"missing":-1`), `branch "main": missing is -1`},
		"negative floor":    {replace(`"floor":2`, `"floor":-2`), `repository "gone": floor is -2`},
		"unseen, yet known": {replace(`"rag":{`, `"rag":{"unseen":true,`), `repository "rag": it is unseen and has branches`},
		"bad time":          {replace("2026-03-01", "yesterday"), "parsing time"},
		"other spelling":    {replace(`"unseen"`, `"Unseen"`), `repository "gone": "Unseen" is spelled otherwise`},
		"a field twice":     {replace(`"floor":7`, `"floor":7,"floor":8`), `repository "rag": "floor" is there twice`},
		"a branch twice":    {replace(`"feat/$(HOME)"`, `"main"`), `repository "rag": branches: "main" is there twice`},
		"upper-case field":  {replace(`"sha":"bbb`, `"SHA":"bbb`), `repository "rag": branches: "feat/$(HOME)": "SHA" is spelled otherwise`},
		"unknown twice":     {replace(`"floor":7`, `"new":1,"a":2,"n\u0065w":3`), `repository "rag": "new" is there twice`},
		"too much unknown":  {replace(`"floor":7`, `"new":"`+strings.Repeat("x", maxUnknown)+`"`), `bytes that this Sentry does not know`},
		"null":              {replace(`{"unseen":true,"floor":2}`, `null`), `repository "gone": it is null`},
		"a number":          {replace(`{"unseen":true,"floor":2}`, ` 7 `), `repository "gone": it is no JSON object`},
		"escapes":           {replace(`{"unseen":true,"floor":2}`, ` [ "<", "\u2028" ] `), `repository "gone": it is no JSON object`},
	}
	for name, tt := range tests {
		s, err := Decode([]byte(tt.in))
		if err != nil {
			t.Errorf("%s: Decode(%q): %v", name, tt.in, err)
			continue
		}
		whole := 0
		for repository, r := range s.Repositories {
			if r.Damaged == nil {
				whole++
				continue
			}
			if r.Branches.Len() > 0 || r.Unseen || r.Problem == nil || r.Problem.Kind != Unreadable {
				t.Errorf("%s: damaged entry of %q: %+v, want only a problem of kind %s", name, repository, r, Unreadable)
				continue
			}
			said := "repository " + strconv.Quote(repository) + ": " + strings.TrimPrefix(r.Problem.Message,
				"nothing runs until its entry in the state is mended, or deleted to record its heads anew: ")
			if !strings.Contains(said, tt.want) {
				t.Errorf("%s: the problem is %q, want %q", name, said, tt.want)
			}
		}
		if whole != 1 || len(s.Repositories) != 2 || len(s.Units) != 1 || s.Epoch != "e1" {
			t.Errorf("%s: Decode(%q) = %+v, want all but one entry", name, tt.in, s)
		}
		out, err := Encode(s)
		if err != nil {
			t.Errorf("%s: write it back: %v", name, err)
			continue
		}
		if back, err := Decode(out); err != nil || !back.Equal(s) || !back.Clone().Equal(s) {
			t.Errorf("%s: read, written and read: %+v, %v, want %+v", name, back, err, s)
		}
		var in, same any
		if json.Unmarshal([]byte(tt.in), &in) != nil || json.Unmarshal(out, &same) != nil || !reflect.DeepEqual(in, same) {
			t.Errorf("%s: written back as\n%s, want what it was:\n%s", name, out, tt.in)
		}
	}
}

// A problem is only a note: one that cannot be read shows as what it is.
func TestDecodeDamagedProblem(t *testing.T) {
	s, err := Decode([]byte(replaced(t, `{"kind":"qa"`, `{"kind":7`)))
	if p := s.Problems()["rag.main"]; err != nil || p.Kind != Unreadable || !strings.Contains(p.Message, `{"kind":7,`) {
		t.Errorf("Decode = %+v, %v, want a problem that shows the entry", s.Problems(), err)
	}
}

// The files were written by Sentrys of the past, and are never rewritten.
func TestEveryFormatIsRead(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	s, err := Decode(read("version1.json"))
	if err != nil || !s.Equal(full()) {
		t.Errorf("version1.json = %+v, %v, want %+v", s, err, full())
	}
	if s, err = Decode(read("version3.json")); err != nil || !s.Equal(full()) {
		t.Errorf("version3.json = %+v, %v, want %+v", s, err, full())
	}
}

// known returns s without what package json would not write: damaged entries, and what is not known.
func known(s Snapshot) Snapshot {
	s = s.Clone()
	forget(reflect.ValueOf(&s).Elem())
	maps.DeleteFunc(s.Repositories, func(_ string, r Repository) bool { return r.Damaged != nil })
	return s
}

// asMaps returns the document of s with maps in the place of Branches, for package json.
func asMaps(s Snapshot) any {
	repositories := map[string]any{}
	for name, r := range s.Repositories {
		repositories[name] = with(r, "Branches", maps.Collect(r.Branches.All()))
	}
	return with(document{Version: Version, Snapshot: s}, "Repositories", repositories)
}

// with returns a struct of the same stored fields, one of which is replaced.
func with(of any, name string, by any) any {
	var fields []reflect.StructField
	var values []reflect.Value
	for _, f := range reflect.VisibleFields(reflect.TypeOf(of)) {
		if f.Anonymous || !f.IsExported() {
			continue
		}
		value := reflect.ValueOf(of).FieldByIndex(f.Index)
		if f.Name == name {
			value = reflect.ValueOf(by)
		}
		fields, values = append(fields, reflect.StructField{Name: f.Name, Type: value.Type(), Tag: f.Tag}), append(values, value)
	}
	same := reflect.New(reflect.StructOf(fields)).Elem()
	for i, value := range values {
		same.Field(i).Set(value)
	}
	return same.Interface()
}

// forget takes out of all that v holds what is not known.
func forget(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			forget(v.Elem())
		}
	case reflect.Map:
		entry := reflect.New(v.Type().Elem()).Elem()
		for _, key := range v.MapKeys() {
			entry.Set(v.MapIndex(key))
			forget(entry)
			v.SetMapIndex(key, entry)
		}
	case reflect.Struct:
		if all, ok := v.Addr().Interface().(*Branches); ok {
			for name, b := range all.All() {
				forget(reflect.ValueOf(&b).Elem())
				all.Set(name, b)
			}
			return
		}
		if k, ok := v.Addr().Interface().(keeper); ok {
			*k.kept() = unknown{}
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				forget(f)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":2,"x":1}`))
	f.Add([]byte(`{"version":3,"new":{"a":[1]},"repositories":{"a":{"new":1.50,"branches":{"b":{"sha":"` + string(shaA) + `","time":"2026-03-01T12:00:00Z","new":"<"}},"problem":{"new":null}}},"units":{"u":{"new":{},"problem":{"x":1}},"v":7}}`))
	f.Add([]byte(`{"version":3,"repositories":{"a":{"new":1,"new":2},"b":{"Floor":1},"c":{"problem":7}}}`))
	f.Add([]byte(`{"version":1,"repositories":{"a":[ "<" ],"b":null,"":{}},"problems":{"u":7}}`))
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
		if usual, err := json.Marshal(json.RawMessage(one)); err != nil || !bytes.Equal(one, usual) {
			t.Fatalf("Encode: %s, want the form that package json writes: %s, %v", one, usual, err)
		}
		if usual, err := json.Marshal(asMaps(known(s))); err != nil || !bytes.Equal(encoded(&document{Version: Version, Snapshot: known(s)}), usual) {
			t.Fatalf("of what is known, %s is written, want what package json writes: %s, %v", one, usual, err)
		}
		two, err := Encode(back)
		if err != nil || !bytes.Equal(one, two) {
			t.Fatalf("Encode twice: %s, then %s, %v", one, two, err)
		}
	})
}

// Only a Sentry on one machine writes redo, so it is no part of what every format holds.
func TestRedoIsKept(t *testing.T) {
	want := full()
	want.Repositories["rag"].Branches.Set("main", Branch{SHA: shaA, N: 3, Time: noon, Redo: true})
	data, err := Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Decode(data); err != nil || !got.Equal(want) {
		t.Errorf("Decode(Encode) = %+v, %v; want %+v", got, err, want)
	}
}

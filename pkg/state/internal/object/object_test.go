package object

import (
	"encoding/json"
	"reflect"
	"testing"
)

// What package json makes of an object is what its members are.
func FuzzMembers(f *testing.F) {
	for _, text := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a" : [1, {"b":"]}"}] , "c\"\\":"\u003c\\\"", "d":null,"e":-1.5e3}`,
		"{\n\t\"\xff\": true\r\n}", `{"a":1,"a":2}`, `{"":{"":{}},"\ud800":[[]]}`, `[1]`, `{"a":`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want map[string]any
		if text = trim(text); json.Unmarshal(text, &want) != nil || want == nil {
			return
		}
		got := map[string]any{}
		for name, value := range Members(text) {
			var decoded any
			if err := json.Unmarshal(value, &decoded); err != nil {
				t.Fatalf("%q: the value of %q is %q: %v", text, name, value, err)
			}
			got[name] = decoded
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: members %v, want %v", text, got, want)
		}
	})
}

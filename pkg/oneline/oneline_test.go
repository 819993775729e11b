package oneline

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOf(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"plain words", "plain words"},
		{"two\nlines\r\n\tand \x1b[31mred\x00", "two lines and [31mred"},
		{" \u2028right\u202eto left\xff ", "right to left"},
		{strings.Repeat("x", 300), strings.Repeat("x", 300)},
		{strings.Repeat("x", 301), strings.Repeat("x", 180) + "…" + strings.Repeat("x", 117)},
		{strings.Repeat("ä", 200), strings.Repeat("ä", 90) + "…" + strings.Repeat("ä", 58)},
		{"create " + strings.Repeat("ä", 200) + "; ask for the right", "create " + strings.Repeat("ä", 86) + "…" + strings.Repeat("ä", 49) + "; ask for the right"},
	} {
		if got := Of(tt.in, 300); got != tt.want || len(got) > 300 || !utf8.ValidString(got) {
			t.Errorf("Of(%q) = %q, %d bytes, valid %t, want %q", tt.in, got, len(got), utf8.ValidString(got), tt.want)
		}
	}
}

func TestWrongJSON(t *testing.T) {
	var into struct {
		A struct {
			N int `json:"n"`
		} `json:"a"`
	}
	for text, want := range map[string]string{
		"[]":              "it is a JSON array, which does not belong there",
		`{"a":{"n":"x"}}`: "a.n is a JSON string, which does not belong there",
		`{"a":{"n":1.5}}`: "a.n is a JSON number, which does not belong there",
		`{"a":`:           "unexpected end of JSON input",
	} {
		if err := WrongJSON(json.Unmarshal([]byte(text), &into)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if WrongJSON(nil) != nil {
		t.Error("nothing is wrong")
	}
}

func TestJSON(t *testing.T) {
	if got, err := JSON(map[string]string{"b": "<a> & \"b\"\n"}); err != nil || got != `{"b":"<a> & \"b\"\n"}` {
		t.Errorf("got %s, %v", got, err)
	}
}

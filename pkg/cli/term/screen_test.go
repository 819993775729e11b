package term

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

func TestScreen(t *testing.T) {
	for in, want := range map[string]string{
		"two\n\tlines, ä→日\n":         "two\n\tlines, ä→日\n",
		"\x1b[2J\r\x00\x7f\a\b":       `\u001b[2J\u000d\u0000\u007f\u0007\u0008`,
		"\u009b2J \u202e\u200b\ufeff": `\u009b2J \u202e\u200b\ufeff`,
		"\U000e0001":                  `\udb40\udc01`,
		"no \xff\x9bUTF-8":            "no \ufffd\ufffdUTF-8",
	} {
		var out bytes.Buffer
		n, err := Screen{&out}.Write([]byte(in))
		if out.String() != want || n != len(in) || err != nil {
			t.Errorf("%q is written as %q, %d, %v, want %q, %d", in, &out, n, err, want, len(in))
		}
	}
}

// A log in JSON stays JSON, with the same text.
func TestScreenKeepsJSON(t *testing.T) {
	const hostile = "\x1b[2J\u009b\u202e\U000e0001\x7f"
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(Screen{&out}, nil)).Info(hostile)
	if strings.ContainsFunc(out.String(), hidden) {
		t.Errorf("written raw: %q", &out)
	}
	var line struct{ Msg string }
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Msg != hostile {
		t.Errorf("%s is read as %q, %v, want %q", &out, line.Msg, err, hostile)
	}
}

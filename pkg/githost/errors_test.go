package githost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestWrapError(t *testing.T) {
	inner := &Error{Kind: Denied, Host: "a.example", Err: errors.New("x")}
	_, syntax := json.Marshal(json.RawMessage("<"))
	var number int
	for _, test := range []struct {
		err  error
		kind Kind
		text string
	}{
		{errors.New("broken pipe"), Temporary, "h: temporary: broken pipe"},
		{&url.Error{Op: "Get", URL: "https://u:p@h/x?token=s3cret", Err: errors.New("reset")}, Temporary, "h: temporary: reset"},
		{fmt.Errorf("asking: %w", &url.Error{Op: "Get", URL: "https://h/?t=s3cret", Err: &url.Error{URL: "s3cret", Err: errors.New("reset")}}), Temporary, "h: temporary: reset"},
		{&url.Error{Op: "Get", URL: "https://h", Err: inner}, Denied, "a.example: denied: x"},
		{&Error{Kind: Denied, Err: errors.New("x")}, Denied, "h: denied: x"},
		{context.DeadlineExceeded, Temporary, "h: temporary: no answer in time"},
		{context.Canceled, Temporary, "h: temporary: interrupted before it answered"},
		{io.ErrUnexpectedEOF, Temporary, "h: temporary: the answer was cut short"},
		{syntax, Invalid, "h: invalid: the answer is not JSON: is this the right type of host?"},
		{json.Unmarshal([]byte(`"s3cret"`), &number), Invalid, "h: invalid: the answer is JSON of another shape than expected: is this the right type of host?"},
		{errors.New("a\nb\x1b[31m\x00  c\u202e\xff"), Temporary, "h: temporary: a b [31m c"},
	} {
		got := WrapError("h", test.err)
		if got.Kind != test.kind || got.Error() != test.text {
			t.Errorf("%#v: got kind %q, %q, want %q, %q", test.err, got.Kind, got.Error(), test.kind, test.text)
		}
		if again := WrapError("h", got); again.Error() != got.Error() {
			t.Errorf("%v: wrapped again it reads %q", test.err, again)
		}
	}
}

func TestErrorTextIsBounded(t *testing.T) {
	for _, long := range []string{strings.Repeat("x", 1<<20), strings.Repeat("ü", 1000), strings.Repeat("世\n", 1000)} {
		text := WrapError("h", errors.New(long)).Err.Error()
		if len(text) > 300 || len(text) < 290 || !utf8.ValidString(text) || !strings.Contains(text, "…") {
			t.Errorf("%.10q…: got %d bytes, %q, want about 300 and an ellipsis", long, len(text), text)
		}
	}
}

func TestCauseOfADeadline(t *testing.T) {
	ctx, cancel := WithTimeout(t.Context(), "h", -time.Second)
	defer cancel()
	got := WrapError("other", fmt.Errorf("list: %w", context.Cause(ctx)))
	if want := "h: temporary: no answer within -1s: context deadline exceeded"; got.Error() != want || !errors.Is(got, context.DeadlineExceeded) {
		t.Errorf("got %q, want %q, which is a DeadlineExceeded", got, want)
	}
}

func TestRedactor(t *testing.T) {
	r := Redactor{Host: "h", Secrets: []string{"s3cret"}}
	for _, c := range []struct{ text, want string }{
		{"no s3cret", "h: temporary: no [redacted]"}, {"no s3cret", "h: temporary: no [redacted]"},
		{"a s3cret\nagain", "h: temporary: a [redacted] again"}, {"no s3cret", "h: temporary: no [redacted]"},
	} {
		if got := r.Redact(NewError(Temporary, "", "%s", c.text)).Error(); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

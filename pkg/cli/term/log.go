// Package term is how the command line writes for people: log lines, and texts of others that must not reach a terminal
// raw. It is a leaf.
package term

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// logTime is the timestamp of a log line.
const logTime = "2006-01-02T15:04:05.000Z07:00"

// NewLog returns a logger that writes lines `[time] LEVEL: message [key=value]…`, or JSON.
func NewLog(w io.Writer, format string, level slog.Leveler) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(&lineLog{mu: new(sync.Mutex), w: w, level: level}), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: withUnit})), nil
	}
	return nil, fmt.Errorf("--log-format %q: want text or json", format)
}

// withUnit writes a duration with its unit, as 812ms, in place of a number of nanoseconds.
func withUnit(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// lineLog is the slog.Handler of the text format. Whatever a value holds, a record is one line.
type lineLog struct {
	mu     *sync.Mutex
	w      io.Writer
	level  slog.Leveler
	prefix string // of keys, from WithGroup
	attrs  []byte // rendered
}

// Enabled implements slog.Handler.
func (l *lineLog) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level.Level() }

// Handle implements slog.Handler.
func (l *lineLog) Handle(_ context.Context, r slog.Record) error {
	b := fmt.Appendf(nil, "[%s] %s: %s", r.Time.Format(logTime), r.Level, Printable(r.Message, ""))
	b = append(b, l.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttr(b, l.prefix, a)
		return true
	})
	b = append(b, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.w.Write(b)
	return err
}

// WithAttrs implements slog.Handler.
func (l *lineLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *l
	next.attrs = slices.Clone(l.attrs)
	for _, a := range attrs {
		next.attrs = appendAttr(next.attrs, l.prefix, a)
	}
	return &next
}

// WithGroup implements slog.Handler.
func (l *lineLog) WithGroup(name string) slog.Handler {
	next := *l
	next.prefix += name + "."
	return &next
}

func appendAttr(b []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, inner := range v.Group() {
			b = appendAttr(b, prefix, inner)
		}
		return b
	}
	text := v.String()
	if v.Kind() == slog.KindTime {
		text = v.Time().UTC().Format(time.RFC3339)
	}
	return fmt.Appendf(b, " [%s%s=%s]", prefix, a.Key, Printable(text, "[]"))
}

// Printable returns s as it is, or quoted where it holds something that could break or forge a line.
func Printable(s, special string) string {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
	if strings.ContainsFunc(s, unprintable) || strings.ContainsAny(s, special) {
		return strconv.Quote(s)
	}
	return s
}

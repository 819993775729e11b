package bitbucket

import (
	"strings"
	"testing"
	"time"
)

// FuzzRead asserts that a page is one of what was asked for, in order and bounded, or an error.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		`{"values":[]}`,
		`{"next":"https://api.bitbucket.org/2.0/repositories/o?page=2","values":[{"uuid":"{1}","full_name":"O/r","updated_on":"2026-01-02T03:04:05.678901+00:00"}]}`,
		`{"values":[{"uuid":"{1}","full_name":"o/r","updated_on":"2026-01-02T03:04:05Z"},{"uuid":"{2}","full_name":"o/s","updated_on":"2026-01-02T03:04:04Z"}]}`,
		`{"values":[{"uuid":null,"full_name":"o/r","updated_on":"9999-12-31T23:59:59Z"}]}`,
		`{"values":[{"values":[]}],"values":[]}`, `{"type":"error","error":{"message":"no"}}`, `[`, ``,
	} {
		f.Add(s)
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		l, err := read(strings.NewReader(s), "o", from)
		if err != nil {
			if len(l.entries) > 0 || l.more {
				t.Fatalf("%+v and %v, want one of them", l, err)
			}
			return
		}
		last := from
		for _, e := range l.entries {
			if e.updated.Before(last) || !strings.HasPrefix(e.path, "o/") || e.uuid == "" || len(e.uuid) > maxUUID {
				t.Fatalf("entry %+v after %s", e, last)
			}
			last = e.updated
		}
		if len(l.entries) > pageLength {
			t.Fatalf("%d entries", len(l.entries))
		}
	})
}

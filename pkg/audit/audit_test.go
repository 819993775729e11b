package audit_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/audit"
)

// The page for operators has a line for each verb, and for none that there is not.
func TestVerbsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `audit=([a-z]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		got = append(got, row[1])
	}
	var want []string
	for _, v := range audit.Verbs {
		want = append(want, string(v))
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/operations.md has the verbs %q, want %q", got, want)
	}
}

func TestNoted(t *testing.T) {
	ada := audit.By{Cause: "rerun", Who: "kubernetes-admin", Claim: "ada"}
	for name, tt := range map[string]struct {
		text string
		want audit.By
		ok   bool
	}{
		"its own":               {ada.Note("shop-1"), ada, true},
		"copied by a rerun":     {ada.Note("shop-0"), audit.By{}, false},
		"none":                  {"", audit.By{}, false},
		"no JSON":               {"ada", audit.By{}, false},
		"without a cause":       {`{"run":"shop-1","who":"ada"}`, audit.By{Who: "ada"}, false},
		"several lines":         {`{"run":"shop-1","cause":"trigger","who":"ada\n[err=x]\u001b[2J"}`, audit.By{Cause: "trigger", Who: "ada [err=x] [2J"}, true},
		"what has another type": {`{"run":"shop-1","cause":["trigger"]}`, audit.By{}, false},
	} {
		if got, ok := audit.Noted(tt.text, "shop-1"); got != tt.want || ok != tt.ok {
			t.Errorf("%s: Noted(%q) = %+v, %v, want %+v, %v", name, tt.text, got, ok, tt.want, tt.ok)
		}
	}
	if by, ok := audit.Noted(audit.By{Cause: "trigger", Who: strings.Repeat("a", 5000)}.Note("shop-1"), "shop-1"); !ok || len(by.Who) > 100 {
		t.Errorf("of a long name %d bytes are left, want at most 100", len(by.Who))
	}
}

func TestKeys(t *testing.T) {
	ada := audit.By{Cause: "rerun", Who: "kubernetes-admin", Claim: "ada"}
	for _, tt := range []struct {
		got, want []any
	}{
		{ada.Attrs(audit.Created), []any{"audit", "created", "by", "rerun", "who", "kubernetes-admin", "claim", "ada"}},
		{audit.By{Cause: audit.Change}.Attrs(audit.Created), []any{"audit", "created", "by", "change"}},
		{audit.By{}.Keys(), nil},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("got %v, want %v", tt.got, tt.want)
		}
	}
	if got := ada.Person(); got != "kubernetes-admin (ada)" {
		t.Errorf("the person is %q", got)
	}
}

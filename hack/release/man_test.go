package main

import (
	"os"
	"strings"
	"testing"
)

// TestManPages compares a page with what it is made of, and looks at all those of docs/cli.md.
func TestManPages(t *testing.T) {
	const help = "# Command line\n\n## sentry\n\n```\nSentry watches.\n\nTry it:\n\n  sentry go\n\nUsage:\n  sentry [command]\n\n" +
		"Available Commands:\n  go          Go on\n\nFlags:\n  -h, --help   help for sentry\n```\n\n" +
		"## sentry go\n\n```\nGo on, with a \\ and a -dash.\n.not a request\n\nUsage:\n  sentry go NAME… [flags]\n\nExamples:\n  sentry go a\n\n" +
		"Flags:\n      --long name      a flag (default\n                       \"x\")\n  -v, --verbose        more\n\nGlobal Flags:\n  -c, --config file    the file\n```\n"
	const want = `.TH "SENTRY\-GO" 1 "2026-01-02" "sentry v1.2.3" "Sentry"
.SH NAME
sentry\-go \- go on
.SH SYNOPSIS
.nf
sentry go NAME... [flags]
.fi
.SH DESCRIPTION
Go on, with a \e and a \-dash.
\&.not a request
.SH OPTIONS
.TP
\fB\-\-long name\fR
a flag (default
"x")
.TP
\fB\-v, \-\-verbose\fR
more
.SH OPTIONS OF ALL COMMANDS
.TP
\fB\-c, \-\-config file\fR
the file
.SH EXAMPLES
.nf
sentry go a
.fi
.SH SEE ALSO
.BR sentry (1)
`
	pages, err := manPages(help, "v1.2.3", "2026-01-02")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(pages["man/man1/sentry-go.1"]); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	text, err := os.ReadFile(root + "/docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	if pages, err = manPages(string(text), "v1.2.3", "2026-01-02"); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count("\n"+string(text), "\n## sentry"); len(pages) != n {
		t.Errorf("%d pages of %d commands", len(pages), n)
	}
	for name, page := range pages {
		for _, part := range []string{".SH NAME\n", ".SH SYNOPSIS\n.nf\nsentry", ".SH DESCRIPTION\n", ".SH OPTIONS\n.TP\n", ".SH SEE ALSO\n.BR sentry"} {
			if !strings.Contains(string(page), part) {
				t.Errorf("%s has no %q:\n%s", name, part, page)
			}
		}
	}
	if _, err := manPages("# Command line\n", "v1", ""); err == nil {
		t.Error("a page without commands is taken")
	}
}

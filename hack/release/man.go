package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// manuals makes the man pages of docs/cli.md, which is what --help prints of each command, and has the program print its completions.
func (r *release) manuals(ctx context.Context, work string) error {
	page, err := os.ReadFile("docs/cli.md")
	if err != nil {
		return err
	}
	if r.manual, err = manPages(string(page), r.version, r.date); err != nil {
		return err
	}
	for shell, file := range map[string]string{"bash": "bash/sentry", "zsh": "zsh/_sentry", "fish": "fish/sentry.fish", "powershell": "powershell/sentry.ps1"} {
		text, err := output(ctx, nil, r.binary(work, here()), "completion", shell)
		if err != nil {
			return err
		}
		r.manual["completions/"+file] = []byte(text + "\n")
	}
	return nil
}

var (
	// aCommand is a command's section of docs/cli.md: its name, and what --help prints.
	aCommand = regexp.MustCompile("(?m)^## (sentry[a-z -]*)\n\n```\n((?s:.*?)\n)```$")
	// aPart is a heading of such a text, with the indented lines below it.
	aPart = regexp.MustCompile(`(?m)^([A-Z][A-Za-z ]+):\n((?:[ \t].*\n|\n)+)`)
	// anEntry is a line of such a part that begins an entry: a command or a flag, and what it is for.
	anEntry = regexp.MustCompile(`^ {2,6}(\S+(?: \S+)*)(?: {2,}(.*))?$`)
)

// manPages returns a man page for each command, in section 1, by its path.
func manPages(cli, version, date string) (map[string][]byte, error) {
	commands := aCommand.FindAllStringSubmatch(cli, -1)
	short := map[string]string{"sentry": "turn pushes into Tekton PipelineRuns"} // what a command does in a line, as its parent says
	var names []string
	for _, c := range commands {
		names = append(names, c[1])
		for _, part := range aPart.FindAllStringSubmatch(c[2], -1) {
			if part[1] == "Available Commands" {
				for line := range strings.Lines(part[2]) {
					if e := anEntry.FindStringSubmatch(strings.TrimRight(line, "\n")); e != nil {
						short[c[1]+" "+e[1]] = strings.ToLower(e[2][:1]) + e[2][1:]
					}
				}
			}
		}
	}
	if len(commands) == 0 {
		return nil, errors.New("docs/cli.md has no commands")
	}
	pages := map[string][]byte{}
	for _, c := range commands {
		if short[c[1]] == "" {
			return nil, fmt.Errorf("docs/cli.md does not say in a line what %s does", c[1])
		}
		name := strings.ReplaceAll(c[1], " ", "-")
		pages["man/man1/"+name+".1"] = []byte(manPage(c[1], short[c[1]], c[2], version, date, names))
	}
	return pages, nil
}

// manPage writes one page.
func manPage(command, short, help, version, date string, names []string) string {
	var b strings.Builder
	name := strings.ReplaceAll(command, " ", "-")
	fmt.Fprintf(&b, ".TH \"%s\" 1 \"%s\" \"sentry %s\" \"Sentry\"\n", roff(strings.ToUpper(name)), date, roff(version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(short))
	about, _, _ := strings.Cut(help, "\nUsage:\n")
	parts := map[string]string{}
	for _, p := range aPart.FindAllStringSubmatch(strings.TrimPrefix(help, about), -1) {
		parts[p[1]] = p[2]
	}
	b.WriteString(".SH SYNOPSIS\n.nf\n")
	verbatim(&b, parts["Usage"])
	b.WriteString(".fi\n.SH DESCRIPTION\n")
	prose(&b, about)
	for _, section := range [][2]string{{"Available Commands", "COMMANDS"}, {"Flags", "OPTIONS"}, {"Global Flags", "OPTIONS OF ALL COMMANDS"}} {
		if text := parts[section[0]]; text != "" {
			fmt.Fprintf(&b, ".SH %s\n", section[1])
			entries(&b, text)
		}
	}
	if text := parts["Examples"]; text != "" {
		b.WriteString(".SH EXAMPLES\n.nf\n")
		verbatim(&b, text)
		b.WriteString(".fi\n")
	}
	b.WriteString(".SH SEE ALSO\n")
	for _, other := range names {
		// The parent, and the commands below.
		if i := strings.LastIndexByte(command, ' '); i > 0 && other == command[:i] || strings.HasPrefix(other, command+" ") && strings.Count(other, " ") == strings.Count(command, " ")+1 {
			fmt.Fprintf(&b, ".BR %s (1)\n", roff(strings.ReplaceAll(other, " ", "-")))
		}
	}
	return b.String()
}

// prose writes paragraphs; lines that are indented stay as they are.
func prose(b *strings.Builder, text string) {
	indented := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if now := strings.HasPrefix(line, "  "); now != indented && line != "" {
			indented = now
			b.WriteString(map[bool]string{true: ".nf\n", false: ".fi\n"}[now])
		}
		if line == "" {
			line = ".PP"
		} else {
			line = roff(line)
		}
		b.WriteString(line + "\n")
	}
	if indented {
		b.WriteString(".fi\n")
	}
}

func verbatim(b *strings.Builder, text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		b.WriteString(roff(strings.TrimSpace(line)) + "\n")
	}
}

// entries writes a list of flags or commands.
func entries(b *strings.Builder, text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch e := anEntry.FindStringSubmatch(line); {
		case e != nil:
			fmt.Fprintf(b, ".TP\n\\fB%s\\fR\n", strings.TrimPrefix(roff(e[1]), `\&`))
			if e[2] != "" {
				b.WriteString(roff(e[2]) + "\n")
			}
		case line != "":
			b.WriteString(roff(strings.TrimSpace(line)) + "\n")
		}
	}
}

// roff returns text that stands for itself.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

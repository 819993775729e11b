package docs

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
)

var update = flag.Bool("update", false, "write the tables of hosts")

// TestTablesOfHosts holds the tables that have a row for each kind of host to what their drivers say.
func TestTablesOfHosts(t *testing.T) {
	var kinds, budgets []string
	for _, d := range hosts.All {
		kinds = append(kinds, row("`"+string(d.Type)+"`", d.About.Servers, strings.Join(knownServers(d), ", "), d.About.API, d.About.Credential))
		for _, b := range d.Budgets {
			unchanged := "counts"
			if b.Free304 {
				unchanged = "is free, with a token"
			}
			budgets = append(budgets, row("`"+string(d.Type)+"`", b.Unit, limits(b), unchanged))
		}
	}
	compareTable(t, "docs/configuration.md", "| `repo_type` | servers |", kinds)
	compareTable(t, "docs/polling.md", "| `repo_type` | counted |", budgets)
	if *update {
		writeTypes(t)
	}
}

// writeTypes writes the range of repo_type, which package config compares as that of any key.
func writeTypes(t *testing.T) {
	t.Helper()
	types := make([]string, len(hosts.All))
	for i, d := range hosts.All {
		types[i] = string(d.Type)
	}
	page := filepath.Join(root, "docs/configuration.md")
	row := regexp.MustCompile("(?m)^(\\| `repo_type` \\| string \\| from the host \\| )[^|]*")
	text := row.ReplaceAllString(read(t, page), "${1}"+schema.OneOf(types)+" ")
	if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func row(cells ...string) string {
	for i, c := range cells {
		if c == "" {
			cells[i] = "none"
		}
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// knownServers are those whose repo_type may be left out.
func knownServers(d githost.Driver) []string {
	var servers []string
	for _, domain := range d.Domains {
		if strings.HasPrefix(domain, ".") {
			domain = "NAME" + domain
		}
		servers = append(servers, strings.ReplaceAll(domain, "*", "NAME"))
	}
	for alias := range d.Aliases {
		servers = append(servers, alias)
	}
	slices.Sort(servers)
	return servers
}

func limits(b githost.Budget) string {
	if b.Limit == nil {
		return "not known"
	}
	with, without := b.Limit(true), b.Limit(false)
	if with == without {
		return strconv.Itoa(with)
	}
	return fmt.Sprintf("%d; without a token %d", with, without)
}

// compareTable compares the rows below a table's first line, in their order.
func compareTable(t *testing.T, page, head string, want []string) {
	t.Helper()
	text := read(t, filepath.Join(root, page))
	before, rest, found := strings.Cut(text, head)
	if !found {
		t.Fatalf("%s has no table %s", page, head)
	}
	lines := strings.SplitAfter(rest, "\n")
	from, to := 2, 2 // after the rest of the head, and the line below it
	for to < len(lines) && strings.HasPrefix(lines[to], "|") {
		to++
	}
	got, wanted := strings.Join(lines[from:to], ""), strings.Join(want, "\n")+"\n"
	switch {
	case got == wanted:
	case *update:
		text = before + head + strings.Join(lines[:from], "") + wanted + strings.Join(lines[to:], "")
		if err := os.WriteFile(filepath.Join(root, page), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s, table %s has\n%s\nwant\n%s\n(go test ./test/docs -update writes it)", page, head, got, wanted)
	}
}

package docs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
)

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
		servers = append(servers, domain)
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
	_, rest, found := strings.Cut(read(t, filepath.Join(root, page)), head)
	if !found {
		t.Fatalf("%s has no table %s", page, head)
	}
	var got []string
	for i, line := range strings.Split(rest, "\n") {
		if i < 2 { // the rest of the head, and the line below it
			continue
		}
		if !strings.HasPrefix(line, "|") {
			break
		}
		got = append(got, line)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s, table %s has\n%s\nwant\n%s", page, head, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

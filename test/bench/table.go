package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// tables returns what was measured as Markdown.
func tables(all []measurement, s settings) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Three branches a repository, watched by exact names, and %d tags; every answer takes %s.\n", tags, s.latency)
	b.WriteString("\n### An idle cycle\n\n")
	b.WriteString("| host | repositories | way | requests | points | bytes | CPU | wall | peak memory |\n")
	b.WriteString("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, m := range all {
		printRow(&b, m, m.Idle, fmt.Sprintf(" %d MB |", m.Peak>>10))
	}
	b.WriteString("\n### A cycle in which 1 % of the repositories changed\n\n")
	b.WriteString("| host | repositories | way | requests | points | bytes | CPU | wall |\n")
	b.WriteString("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, m := range all {
		printRow(&b, m, m.Changed, "")
	}
	b.WriteString("\n### How many times more the other ways cost, idle\n\n")
	b.WriteString("| host | repositories | way | requests | bytes | CPU |\n| --- | ---: | --- | ---: | ---: | ---: |\n")
	for _, m := range all {
		if m.Way == sentryWay {
			continue
		}
		for _, ours := range all {
			if ours.Way == sentryWay && ours.Host == m.Host && ours.N == m.N {
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", m.Host, number(m.N), m.Way,
					ratio(m.Idle.Requests, ours.Idle.Requests), ratio(m.Idle.Bytes, ours.Idle.Bytes), ratio(m.Idle.CPU, ours.Idle.CPU))
			}
		}
	}
	b.WriteString("\n### What a first cycle costs Sentry\n\n")
	b.WriteString("| host | repositories | requests | points | bytes | CPU | wall |\n")
	b.WriteString("| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, m := range all {
		if m.Way == sentryWay {
			fmt.Fprintf(&b, "| %s | %s |%s\n", m.Host, number(m.N), columns(m.First))
		}
	}
	growth(&b, all)
	return b.String()
}

// growth shows what a repository costs Sentry, the more there are.
func growth(b *strings.Builder, all []measurement) {
	b.WriteString("\n### What one repository costs Sentry in an idle cycle\n\n")
	b.WriteString("| host | repositories | requests | bytes | CPU | peak memory |\n")
	b.WriteString("| --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, m := range all {
		if m.Way == sentryWay {
			n := float64(m.N)
			fmt.Fprintf(b, "| %s | %s | %.3f | %.0f | %.0fµs | %.1f kB |\n", m.Host, number(m.N), float64(m.Idle.Requests)/n,
				float64(m.Idle.Bytes)/n, float64(m.Idle.CPU.Microseconds())/n, float64(m.Peak)/n)
		}
	}
}

// The marks between which a file holds the tables.
const (
	begin = "<!-- written by make bench -->\n"
	end   = "<!-- end of what make bench wrote -->\n"
)

// replaceTables replaces what stands between the marks of a file.
func replaceTables(path, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(data), begin)
	_, after, ends := strings.Cut(rest, end)
	if !found || !ends {
		return fmt.Errorf("%s: want a line %q and after it a line %q", path, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return os.WriteFile(path, []byte(before+begin+"\n"+text+"\n"+end+after), 0o644)
}

func printRow(b *strings.Builder, m measurement, c cost, end string) {
	fmt.Fprintf(b, "| %s | %s | %s |%s%s\n", m.Host, number(m.N), m.Way, columns(c), end)
}

func columns(c cost) string {
	return fmt.Sprintf(" %s | %s | %s | %s | %s |", number(c.Requests), number(c.Points), size(c.Bytes),
		c.CPU.Round(time.Millisecond), c.Wall.Round(10*time.Millisecond))
}

func ratio[T int | int64 | time.Duration](theirs, ours T) string {
	return fmt.Sprintf("%.1f", float64(theirs)/float64(max(ours, 1)))
}

func size(bytes int64) string {
	switch {
	case bytes >= 10_000_000:
		return fmt.Sprintf("%d MB", bytes/1_000_000)
	case bytes >= 1_000_000:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	}
	return fmt.Sprintf("%.1f kB", float64(bytes)/1e3)
}

// number writes 12345 as 12,345.
func number(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"strings"
	"text/template"
)

//go:embed sentry.krew.yaml sentry.rb
var templates embed.FS

// packages writes what package managers want to know: Krew's manifest, and Homebrew's formula.
func (r *release) packages(context.Context, string) error {
	sums, err := r.sums()
	if err != nil {
		return err
	}
	type download struct{ OS, Arch, URL, SHA256, Program string }
	var downloads []download
	for _, p := range r.targets {
		file := r.name(p) + ".tar.gz"
		if p.os == "windows" {
			file = r.name(p) + ".zip"
		}
		downloads = append(downloads, download{p.os, p.arch, r.source + "/releases/download/" + r.version + "/" + file, sums[file], p.program()})
	}
	of := func(system string) (some []download) {
		for _, d := range downloads {
			if d.OS == system {
				some = append(some, d)
			}
		}
		return some
	}
	t, err := template.New("").Funcs(template.FuncMap{"of": of, "list": func(s ...string) []string { return s }, "json": func(s string) (string, error) {
		text, err := json.Marshal(s)
		return string(text), err
	}}).ParseFS(templates, "*")
	if err != nil {
		return err
	}
	for _, file := range []string{"sentry.krew.yaml", "sentry.rb"} {
		var text bytes.Buffer
		err := t.ExecuteTemplate(&text, file, map[string]any{
			"Version": r.version, "Plain": strings.TrimPrefix(r.version, "v"), "Source": r.source, "Downloads": downloads,
		})
		if err != nil {
			return err
		}
		if err := r.write(file, text.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

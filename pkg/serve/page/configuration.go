package page

import (
	"fmt"
	"net/http"
	"path"
	"strconv"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/config/listing"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/serve/page/view"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// maxNotes bounds what is told above a text of what is wrong in it.
const maxNotes = 50

const (
	configurationPath = "/configuration"
	refusedPath       = "/configuration/refused"
)

// reference returns what leads to a place of a text that is shown at a path.
func reference(path string, l *listing.Listing, at listing.Place) view.Reference {
	return view.Reference{Link: fmt.Sprintf("%s?file=%d&page=%d#L%d", path, at.File+1, at.Part, at.Line), File: nameOf(l, at.File), Line: at.Line}
}

// nameOf returns the name of a file that people know it by.
func nameOf(l *listing.Listing, file int) string { return path.Base(l.Files()[file].Name) }

// textOf returns where a group stands in the configuration, or the first of some repositories that is found; nil where none is. Of a unit
// the repositories of its heads count.
func textOf(f *facts.Facts, group string, unit *overview.Unit, repositories ...string) *view.Reference {
	l := f.Text.Used
	if l == nil {
		return nil
	}
	at, ok := l.Group(group)
	if unit != nil {
		for _, h := range unit.Heads {
			repositories = append(repositories, h.Repository)
		}
	}
	for i := 0; !ok && i < len(repositories); i++ {
		at, ok = l.Repository(repositories[i])
	}
	if !ok {
		return nil
	}
	r := reference(configurationPath, l, at)
	return &r
}

func (p *Page) configuration(s *shown, w http.ResponseWriter, r *http.Request) {
	p.text(s, w, r, configurationPath, s.Text.Used)
}

func (p *Page) refused(s *shown, w http.ResponseWriter, r *http.Request) {
	if s.Text.Refused == nil {
		p.trouble(w, r, http.StatusNotFound, "There is no text that is refused.")
		return
	}
	p.text(s, w, r, refusedPath, s.Text.Refused)
}

// text shows a text at a path; nil is one that is not known.
func (p *Page) text(s *shown, w http.ResponseWriter, r *http.Request, path string, l *listing.Listing) {
	file, parts := 0, 1
	if l != nil {
		n, err := strconv.Atoi(r.URL.Query().Get("file"))
		if err == nil {
			file = min(max(1, n), len(l.Files())) - 1
		}
		parts = l.Files()[file].Parts
	}
	pages := pagesOf(r, parts, 1)
	p.write(w, r, s, key(path+" "+strconv.Itoa(file), pages), func() view.Frame {
		v := view.Text{Refused: path == refusedPath, Why: p.hide(s.Text.Why), Behind: s.Text.Refused != nil, Pages: pages}
		if v.Why == "" {
			v.Problems = s.Problems(state.Configuration)
		}
		if l != nil {
			p.fill(&v, path, l, file)
		}
		return view.Frame{Title: "Configuration", Section: "configuration", View: view.Configuration(v)}
	})
}

// fill fills in a part of a text.
func (p *Page) fill(v *view.Text, path string, l *listing.Listing, file int) {
	const maxFiles = 200
	for i := range l.Files()[:min(len(l.Files()), maxFiles)] {
		v.Files = append(v.Files, view.File{Name: nameOf(l, i), Link: fmt.Sprintf("%s?file=%d", path, i+1), This: i == file})
	}
	v.Name, v.All = l.Files()[file].Name, l.Files()[file].Lines
	for _, n := range l.First(maxNotes, p.hide) {
		v.Notes = append(v.Notes, view.Note{Note: n, At: reference(path, l, l.PlaceOf(n))})
	}
	v.More = len(l.Notes) - len(v.Notes)
	v.Lines = l.Part(file, v.Pages.This, p.hide)
}

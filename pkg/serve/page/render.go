package page

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/result/statistics"
	"github.com/tekton-sentry/sentry/pkg/serve/page/drawing"
	"github.com/tekton-sentry/sentry/pkg/serve/page/wire"
)

var (
	//go:embed html/*.html
	htmlFiles embed.FS
	//go:embed assets
	assetFiles embed.FS

	templates = readTemplates()
	assets    = readAssets()
)

// maxLine bounds a text of others that stands on a line of its own, in bytes.
const maxLine = 400

var functions = template.FuncMap{
	"asset": func(name string) string {
		for at, a := range assets {
			if a.name == name {
				return "/assets/" + at
			}
		}
		panic("there is no asset " + name)
	},
	"at":    func(t time.Time) moment { return moment{t.UTC()} },
	"took":  func(seconds int) string { return cmp.Or(took(seconds), "–") },
	"line":  func(text string) string { return oneline.Of(text, maxLine) },
	"class": class,
	"glyph": glyph,
	"words": func(v string) string { return cmp.Or(v, "no run yet") },
	"of":    plural,
	// or is html/template's own for any values; these are texts.
	"or": cmp.Or[string],
	"any": func(texts ...any) bool {
		for _, t := range texts {
			if yes, _ := template.IsTrue(t); yes {
				return true
			}
		}
		return false
	},
	"percent": func(rate *float64) string { return fmt.Sprintf("%.0f %%", 100**rate) },
	"runs":    func(m *statistics.Measures) int { return m.Succeeded + m.Failed },
	"clean":   clean,
	"box": func(b drawing.Box, m Member) boxed {
		return boxed{b, m}
	},
}

// boxed is a member in its box.
type boxed struct {
	drawing.Box
	Member Member
}

// Width is that of the box.
func (boxed) Width() int { return drawing.BoxWidth }

// Height is that of the box.
func (boxed) Height() int { return drawing.BoxHeight }

// TextX is where the texts begin.
func (b boxed) TextX() int { return b.X + 12 }

// NameY is the line of the name.
func (b boxed) NameY() int { return b.Y + 17 }

// StateY is the line of the verdict.
func (b boxed) StateY() int { return b.Y + 32 }

// maxOutput bounds a line of what a command printed, in bytes.
const maxOutput = 2000

// clean returns a line of what a command printed without what moves a cursor or hides other text.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text[:min(len(text), maxOutput)])
}

// took returns how long something took; "" = that is not known.
func took(seconds int) string {
	if seconds == 0 {
		return ""
	}
	return overview.Took(seconds)
}

// moment is a time in a template.
type moment struct{ time.Time }

// Machine is the moment for programs, and Person for people where no script makes it local.
func (m moment) Machine() string { return m.Format(time.RFC3339) }

// Person returns the moment in words.
func (m moment) Person() string { return m.Format("2006-01-02 15:04 UTC") }

// Exact returns it to the second.
func (m moment) Exact() string { return m.Format("2006-01-02 15:04:05 UTC") }

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if thing == "match" {
		return fmt.Sprintf("%d matches", n)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// readTemplates returns the views, each with the frame around it, by the names of their files.
func readTemplates() map[string]*template.Template {
	all := map[string]*template.Template{}
	files, err := fs.Glob(htmlFiles, "html/view-*.html")
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "html/view-"), ".html")
		all[name] = template.Must(template.New("frame.html").Funcs(functions).ParseFS(htmlFiles, "html/frame.html", "html/parts.html", file))
	}
	return all
}

// file is something that never changes under its name.
type file struct {
	name, kind string
	bytes      []byte
}

// readAssets returns the style, the script and the icon, by names that tell their content.
func readAssets() map[string]file {
	kinds := map[string]string{"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"}
	all := map[string]file{}
	for name, kind := range kinds {
		text, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			panic(err)
		}
		before, after, _ := strings.Cut(name, ".")
		all[before+"-"+wire.Digest(text)[:12]+"."+after] = file{name, kind, text}
	}
	return all
}

func asset(w http.ResponseWriter, r *http.Request) {
	a, ok := assets[r.PathValue("file")]
	if !ok {
		refuse(w, r, http.StatusNotFound, "There is no such file.")
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	w.Header().Set("ETag", `"`+wire.Digest(a.bytes)[:16]+`"`)
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.bytes) // who has left misses nothing
	}
}

// frame is what a template is given.
type frame struct {
	Title   string
	Section string // of the navigation
	Query   string // that was looked for last
	Live    bool   // it changes by itself while it is looked at
	Place   string
	Known   *shown
	Trouble string // why what is known could not be read again
	Gap     string
	View    any
}

// write answers with a view of what is known, which fill makes where it is not ready. One that is live is never kept.
func (p *Page) write(w http.ResponseWriter, r *http.Request, s *shown, name, key string, fill func() (frame, error)) {
	v, ready := s.views.Get(key)
	if !ready {
		f, err := fill()
		if err != nil {
			p.trouble(w, r, http.StatusBadGateway, p.hide(err.Error()))
			return
		}
		f.Known, f.Place, f.Gap = s, p.Place, p.hide(s.Gap)
		if s.err != nil {
			f.Trouble = p.hide(s.err.Error())
		}
		if v, err = render(name, f); err != nil {
			p.Log.Error("a view of the page cannot be made", "view", name, "err", err)
			p.trouble(w, r, http.StatusInternalServerError, "This view cannot be made; the log says why.")
			return
		}
		if !f.Live {
			s.views.Put(key, v)
		}
	}
	wire.Send(w, r, http.StatusOK, v)
}

func render(name string, f frame) (wire.Answer, error) {
	var text bytes.Buffer
	if err := templates[name].Execute(&text, f); err != nil {
		return wire.Answer{}, err
	}
	return wire.Pack(text.Bytes(), "text/html; charset=utf-8")
}

// trouble says why there is no view.
func (p *Page) trouble(w http.ResponseWriter, r *http.Request, status int, text string) {
	v, err := render("trouble", frame{Title: http.StatusText(status), Place: p.Place, View: text})
	if err != nil {
		refuse(w, r, http.StatusInternalServerError, text)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	wire.Send(w, r, status, v)
}

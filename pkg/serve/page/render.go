package page

import (
	"bytes"
	"context"
	"net/http"

	"github.com/tekton-sentry/sentry/pkg/serve/page/assets"
	"github.com/tekton-sentry/sentry/pkg/serve/page/view"
	"github.com/tekton-sentry/sentry/pkg/serve/page/wire"
)

func asset(w http.ResponseWriter, r *http.Request) {
	a, ok := assets.Get(r.PathValue("file"))
	if !ok {
		refuse(w, r, http.StatusNotFound, "There is no such file.")
		return
	}
	w.Header().Set("Content-Type", a.Kind)
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	w.Header().Set("ETag", `"`+wire.Digest(a.Bytes)[:16]+`"`)
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.Bytes) // who has left misses nothing
	}
}

// write answers with a view of what is known, which fill makes where it is not ready. One that is live is never kept.
func (p *Page) write(w http.ResponseWriter, r *http.Request, s *shown, key string, fill func() view.Frame) {
	key = visitorOf(r).Key() + key
	v, ready := s.views.Get(key)
	if !ready {
		f := p.framed(r, fill())
		f.At, f.Place, f.Gap = s.At, p.Place, p.hide(s.Gap)
		if s.err != nil {
			f.Trouble = p.hide(s.err.Error())
		}
		var err error
		if v, err = render(f); err != nil {
			p.Log.Error("a view of the page cannot be made", "title", f.Title, "err", err)
			p.trouble(w, r, http.StatusInternalServerError, "This view cannot be made; the log says why.")
			return
		}
		if !f.Live {
			s.views.Put(key, v)
		}
	}
	wire.Send(w, r, http.StatusOK, v)
}

func render(f view.Frame) (wire.Answer, error) {
	var text bytes.Buffer
	if err := view.Page(f).Render(context.Background(), &text); err != nil {
		return wire.Answer{}, err
	}
	return wire.Pack(text.Bytes(), "text/html; charset=utf-8")
}

// trouble says why there is no view.
func (p *Page) trouble(w http.ResponseWriter, r *http.Request, status int, text string) {
	title := http.StatusText(status)
	v, err := render(p.framed(r, view.Frame{Title: title, Place: p.Place, View: view.Trouble(title, text)}))
	if err != nil {
		refuse(w, r, http.StatusInternalServerError, text)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	wire.Send(w, r, status, v)
}

// show answers with a view of package act, for whoever asks for it alone.
func (p *Page) show(w http.ResponseWriter, r *http.Request, status int, f view.Frame) {
	f.Place = p.Place
	v, err := render(p.framed(p.recognise(r), f))
	if err != nil {
		refuse(w, r, http.StatusInternalServerError, "This view cannot be made.")
		return
	}
	wire.Send(w, r, status, v)
}

// Package listing shows people the texts of a configuration: a part at a time, each line with its number and with what is wrong there, and
// with nothing that may be a secret.
package listing

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

const (
	// maxLines and maxBytes bound a part, so that it is quickly read, and less than 100 kB on the wire.
	maxLines = 300
	maxBytes = 48 << 10
	// maxLine bounds what is shown of a line, in bytes.
	maxLine = 2000
	// maxNotes bounds what is shown of what is wrong on one line, and maxHere of what is in one part.
	maxNotes, maxHere = 10, 100
)

// Note is what is wrong at a line, or hardly meant so.
type Note struct {
	File  int // of Listing.Files
	Line  int
	Error bool // and no warning
	Text  string
}

// Line is a line of a file.
type Line struct {
	N      int
	Text   string
	Hidden bool // there is more, which is hidden
	Cut    bool // it is longer
	Notes  []Note
	More   int // notes
}

// Place is where something stands.
type Place struct{ File, Part, Line int } // the parts are counted from 1, as lines are

// File is one of the texts.
type File struct {
	Name  string
	Lines int
	Parts int

	text   string
	starts []start
	hiding *hiding
	odd    bool // it is no text that could be shown
	notes  []Note
}

// start is where a part begins.
type start struct {
	line, at int
	states
}

// Listing is the texts of one configuration. Any goroutine may use it.
type Listing struct {
	Notes []Note // by file and line

	strict bool
	once   sync.Once
	files  []File
	names  map[string]int // where each of them is
	// places are those of repositories and of groups.
	repositories, groups map[string]Place
}

// Of returns the texts of a configuration that is used, with what is hardly meant so.
func Of(texts config.Files, warnings []config.Warning) *Listing {
	l := listingOf(texts)
	for _, w := range warnings {
		l.note(config.Error(w), false)
	}
	l.sort()
	return l
}

// Refused returns texts that cannot be used, with what is wrong in them. Of those less is shown: a token may stand anywhere.
func Refused(texts config.Files, errors config.Errors) *Listing {
	l := listingOf(texts)
	l.strict = true
	for _, e := range errors {
		l.note(e, true)
	}
	l.sort()
	return l
}

func listingOf(texts config.Files) *Listing {
	l := &Listing{files: make([]File, len(texts)), names: make(map[string]int, len(texts))}
	for i, t := range texts {
		l.files[i], l.names[t.Name] = File{Name: t.Name, text: strings.TrimPrefix(string(t.Text), "\ufeff")}, i
	}
	return l
}

func (l *Listing) note(e config.Error, wrong bool) {
	n := Note{File: l.names[e.File], Line: max(1, e.Line), Error: wrong, Text: e.Message}
	if e.Key != "" {
		n.Text = e.Key + ": " + n.Text
	}
	n.Text = secret.WithoutTokens(n.Text)
	l.Notes = append(l.Notes, n)
}

func (l *Listing) sort() {
	slices.SortStableFunc(l.Notes, func(a, b Note) int { return cmp.Or(a.File-b.File, a.Line-b.Line) })
}

// Files returns the files in their order.
func (l *Listing) Files() []File {
	l.once.Do(l.read)
	return l.files
}

// Repository returns where a repository stands, as far as that is plain to see.
func (l *Listing) Repository(name string) (Place, bool) {
	l.once.Do(l.read)
	p, ok := l.repositories[name]
	return p, ok
}

// Group returns where a group stands.
func (l *Listing) Group(name string) (Place, bool) {
	l.once.Do(l.read)
	p, ok := l.groups[name]
	return p, ok
}

// PlaceOf returns where a note stands.
func (l *Listing) PlaceOf(n Note) Place {
	f := &l.Files()[n.File]
	return Place{n.File, f.part(n.Line), n.Line}
}

// part returns in which part a line is.
func (f *File) part(line int) int {
	i, found := slices.BinarySearchFunc(f.starts, line, func(s start, line int) int { return s.line - line })
	if found {
		i++
	}
	return max(1, i)
}

func (l *Listing) read() {
	l.repositories, l.groups = map[string]Place{}, map[string]Place{}
	for i := range l.files {
		f, wrong := &l.files[i], map[int]bool{}
		at, _ := slices.BinarySearchFunc(l.Notes, i, func(n Note, i int) int { return n.File - i })
		for f.notes = l.Notes[at:at]; at < len(l.Notes) && l.Notes[at].File == i; at++ {
			f.notes = append(f.notes, l.Notes[at])
			wrong[l.Notes[at].Line] = true
		}
		f.odd = !utf8.ValidString(f.text) || strings.Contains(f.text, "\x00")
		f.hiding = newHiding(f.text, l.strict, wrong)
		f.read(places{file: i, repositories: l.repositories, groups: l.groups})
	}
}

// read finds the parts, and what stands where.
func (f *File) read(seen places) {
	h := *f.hiding
	lines, bytes := maxLines, 0
	for at := 0; at < len(f.text) || f.Lines == 0; {
		line, next := cutLine(f.text[at:])
		f.Lines++
		if lines++; lines > maxLines || bytes > maxBytes {
			f.starts = append(f.starts, start{f.Lines, at, h.states})
			lines, bytes = 1, 0
		}
		bytes += min(len(line), maxLine)
		h.line(line)
		seen.line(line, len(f.starts), f.Lines)
		at += next
	}
	f.Parts = len(f.starts)
}

// cutLine returns the line with which a text begins, and where the next begins. Lines end where YAML has them end, by whose lines errors go.
func cutLine(text string) (line string, next int) {
	end := strings.IndexByte(text, '\n')
	if end < 0 {
		end, next = len(text), len(text)
	} else {
		next = end + 1
	}
	for i := range end {
		switch c := text[i]; {
		case c == '\r' && i+1 == end && next > end:
			return text[:i], next
		case c == '\r':
			return text[:i], i + 1
		case c == 0xc2 && strings.HasPrefix(text[i:], "\u0085"):
			return text[:i], i + 2
		case c == 0xe2 && (strings.HasPrefix(text[i:], "\u2028") || strings.HasPrefix(text[i:], "\u2029")):
			return text[:i], i + 3
		}
	}
	return text[:end], next
}

// Part returns the lines of a part of a file, which are counted from 1. hide takes credentials out of them and their notes that are known. There are none where the
// file is no text.
func (l *Listing) Part(file, part int, hide func(string) string) []Line {
	f := &l.Files()[file]
	if f.odd || part < 1 || part > len(f.starts) {
		return nil
	}
	from, last := f.starts[part-1], f.Lines
	if part < len(f.starts) {
		last = f.starts[part].line - 1
	}
	h := *f.hiding
	h.states = from.states
	texts := make([]string, 0, last-from.line+1)
	var lines []Line
	for n, at := from.line, from.at; n <= last; n++ {
		text, next := cutLine(f.text[at:])
		at += next
		one := Line{N: n}
		if from := h.line(text); from != shown {
			text, one.Hidden = text[:from], true
		}
		if len(text) > 2*maxLine { // a part of a credential is not known as one: what is cut off is whole words, before the rest of what is too long
			one.Cut, text = true, text[:2*maxLine]
			text = text[:strings.LastIndexAny(text, " \t")+1]
		}
		lines, texts = append(lines, one), append(texts, secret.WithoutTokens(text))
	}
	notes, left := f.notes, maxHere
	for i := range lines {
		at, _ := slices.BinarySearchFunc(notes, lines[i].N, func(n Note, line int) int { return n.Line - line })
		notes = notes[at:]
		n := 0
		for n < len(notes) && notes[n].Line == lines[i].N {
			n++
		}
		few := min(n, maxNotes, left)
		lines[i].Notes, lines[i].More = slices.Clone(notes[:few]), n-few
		left -= few
		for _, n := range notes[:few] {
			texts = append(texts, n.Text)
		}
	}
	texts = hideAll(texts, hide)
	ofNotes := texts[len(lines):]
	for i := range lines {
		if lines[i].Text = texts[i]; len(texts[i]) > maxLine {
			lines[i].Text, lines[i].Cut = strings.ToValidUTF8(texts[i][:maxLine], ""), true
		}
		for k := range lines[i].Notes {
			lines[i].Notes[k].Text, ofNotes = ofNotes[0], ofNotes[1:]
		}
	}
	return lines
}

// First returns the first notes, of at most n of them. hide takes credentials out that are known.
func (l *Listing) First(n int, hide func(string) string) []Note {
	notes := slices.Clone(l.Notes[:min(len(l.Notes), n)])
	texts := make([]string, len(notes))
	for i := range notes {
		texts[i] = notes[i].Text
	}
	for i, text := range hideAll(texts, hide) {
		notes[i].Text = text
	}
	return notes
}

// hideAll has credentials taken out of texts: of all at once, as that is cheaper than of each, unless it changes how many they are.
func hideAll(texts []string, hide func(string) string) []string {
	all := strings.Split(hide(strings.Join(texts, "\n")), "\n")
	if len(all) == len(texts) {
		return all
	}
	for i, text := range texts {
		texts[i] = hide(text)
	}
	return texts
}

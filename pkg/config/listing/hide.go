package listing

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// allKeys are those of config.AllKeys, which are always the same.
var allKeys = sync.OnceValue(config.AllKeys)

// hiding finds what may be a secret in the text of a file, one line after the other. It does not parse YAML: it also reads what is not YAML,
// comments, and a megabyte in some milliseconds. Where it is in doubt it hides. A value stands at a key, and is hidden from there to the end of
// its line, with the lines after it that can belong to it.
type hiding struct {
	config.Keys
	// strict hides what stands at no known key, too: in a text that cannot be used a token may stand anywhere.
	strict bool
	// wrong are the lines that have errors.
	wrong   map[int]bool
	aliased names // anchors by which a hidden key has its value
	anchors names // that there are
	states
}

// states are what is known behind a line: of the text, and of what is commented out in it.
type states struct {
	lines         int
	text, comment state
}

// state is what becomes of the next lines.
type state struct {
	hides  bool // until a key that is no further in than this column
	column int
	loose  bool // any key ends that
	quote  byte // with which a hidden value ends that goes over lines; 0 = none does
	pem    bool // they are of a private key
}

// names are some that a text has. Where they are too many to be kept, it has any.
type names map[string]bool

const maxNames = 10_000

func (n names) add(name string) {
	if len(n) < maxNames {
		n[name] = true
	}
}

func (n names) has(name string) bool { return n[name] || len(n) == maxNames }

const shown = -1

func newHiding(text string, strict bool, wrong map[int]bool) *hiding {
	h := &hiding{Keys: allKeys(), strict: strict, wrong: wrong, aliased: names{}, anchors: names{}}
	if strict {
		h.anchors.addAll(text, '&')
	}
	h.findAliased(text)
	return h
}

// maxLinks is how many anchors may lead to one another.
const maxLinks = 3

// findAliased finds the anchors by which what is hidden has its value: their aliases are hidden, and what is behind one is, too.
func (h *hiding) findAliased(text string) {
	all := names{}
	if all.addAll(text, '&'); len(all) == 0 {
		return
	}
	for range maxLinks {
		before, pass := len(h.aliased), *h
		for at := 0; at < len(text); {
			line, next := cutLine(text[at:])
			if from := pass.line(line); from != shown {
				h.aliased.addAll(line[from:], '*')
			}
			at += next
		}
		if len(h.aliased) == before {
			return
		}
	}
	h.aliased = all
}

// addAll adds the names that stand in a text behind a mark.
func (n names) addAll(text string, mark byte) {
	for at := strings.IndexByte(text, mark); at >= 0; {
		if text = text[at+1:]; text != "" && isWord(text[0]) {
			n.add(anchor(text))
		}
		at = strings.IndexByte(text, mark)
	}
}

// line returns the byte of the next line from which on it is hidden; shown = all is shown.
func (h *hiding) line(text string) int {
	h.lines++
	first := len(text) - len(strings.TrimLeft(text, " \t"))
	if first < len(text) && text[first] == '#' && !h.text.goesOn(first) {
		return h.in(&h.comment, text, len(text)-len(strings.TrimLeft(text, "# \t")), false)
	}
	if first < len(text) {
		h.comment = state{}
	}
	return h.in(&h.text, text, first, h.strict)
}

// goesOn reports whether what is hidden goes on with a comment that begins at a column.
func (s *state) goesOn(column int) bool { return s.pem || s.quote != 0 || s.hides && column > s.column }

// in returns that for a line of the text, or of what is commented out in it, which begins at a column.
func (h *hiding) in(s *state, text string, first int, strict bool) int {
	switch {
	case first == len(text):
		return shown
	case s.pem:
		s.pem = !strings.Contains(text, "-----END ")
		return first
	case s.quote != 0:
		if closes(text, s.quote) {
			s.quote = 0
		}
		return first
	}
	if at := strings.Index(text, "-----BEGIN "); at >= 0 && strings.Contains(text[at:], "PRIVATE KEY") {
		s.pem = !strings.Contains(text[at:], "-----END ")
		return at
	}
	at, dash := afterDashes(text, first)
	shape := shapeOf(text[at:])
	if dash && shape == other {
		shape = item
	}
	if s.hides {
		ends := first < s.column || first == s.column && !dash || s.loose && shape != item
		if shape == other || !ends {
			return first
		}
		s.hides = false
	}
	switch {
	case shape == explicit:
		s.hide(at)
		return at
	case shape == other && strict:
		return at
	}
	return h.values(s, line{text, at, first}, shape, strict)
}

// hide has the next lines hidden that may belong to a key.
func (s *state) hide(column int) { s.hides, s.column, s.loose = true, column, false }

// line is one that has keys, perhaps.
type line struct {
	string
	at    int // of the first of them
	first int // that is no blank
}

// values returns from where on a line is hidden for what stands at its keys.
func (h *hiding) values(s *state, l line, shape shape, strict bool) int {
	text, at := l.string, l.at
	if shape != key { // a colon was forgotten, perhaps
		if end := at + len(word(text[at:])); h.Hidden[text[at:end]] && end < len(text) && text[end] != ':' && text[end] != '=' {
			s.hide(at)
			return end
		}
	}
	if strict && shape == key {
		if n := h.odd(text[at:]); n >= 0 {
			s.hide(at)
			return at + n
		}
	}
	lead := at + len(text[at:]) - len(strings.TrimLeft(text[at:], ` "'`)) // where the first key begins
	behind := len(text)                                                   // which no key at the begin of the line is
	var open brackets
	for i := at; i < len(text); i++ {
		c := text[i]
		open.take(text, i)
		if behind == len(text) && strings.IndexByte("[{:,", c) >= 0 {
			behind = i
		}
		switch {
		case c == '&' && len(h.aliased) > 0 && h.aliased.has(anchor(text[i+1:])),
			c == '*' && strict && i > at && strings.IndexByte(" [,", text[i-1]) >= 0 && i+1 < len(text) && isWord(text[i+1]) && !h.anchors[anchor(text[i+1:])]:
			s.hide(l.first)
			return i
		case strict && (c == '{' || c == ',') && open.last() == '{':
			next := len(text) - len(strings.TrimLeft(text[i+1:], " \t"))
			if n := h.odd(text[next:]); n >= 0 && strings.IndexByte("}#", text[next]) < 0 {
				s.hide(l.first)
				return next + n
			}
			continue
		case c != ':' && c != '=' && (c != ' ' || i == at || !isWord(text[i-1])):
			continue
		}
		name, from := before(text, at, i)
		if c == ' ' && !strings.HasPrefix(name, "--") { // which a value follows on a command line
			continue
		}
		column := l.first
		if from <= lead { // the first of the line
			column = at
		}
		value := strings.TrimLeft(text[i+1:], " \t")
		start := len(text) - len(value)
		nothing := value == "" || value[0] == '#' && start > i+1
		switch {
		case name != "" && h.isHidden(name), strict && h.wrong[h.lines] && h.Addresses[name]:
			s.hide(column)
			if n, ok := reference(value, open); ok {
				i = start + n - 1
				continue
			}
			if nothing {
				return shown
			}
			s.open(value)
			return start
		case !strict || c != ':' || start == i+1 && value != "" && text[i-1] != '"' && text[i-1] != '\'':
			continue // no key
		case behind < from && strings.IndexByte("{,", lastOf(text[at:from])) < 0:
			continue // no key, as none is before it
		case strings.HasSuffix(text[:from], "<<") && strings.HasPrefix(value, "*"):
			continue
		case nothing && !h.Known[name]:
			s.hide(column)
			s.loose = true
			return shown
		case nothing, h.Known[name] && !h.Sections[name] && !h.Lists[name],
			h.Sections[name] && strings.IndexByte("{&*", value[0]) >= 0, h.Lists[name] && strings.IndexByte("[&*", value[0]) >= 0:
			continue
		}
		s.hide(column)
		s.open(value)
		return start
	}
	return shown
}

// odd returns from where on a text is hidden that begins with no plain key, as where a colon or the blank behind it was forgotten;
// -1 = it begins with one.
func (h *hiding) odd(text string) int {
	if text == "" || strings.HasPrefix(text, "<<:") {
		return -1
	}
	quotes := 0
	if text[0] == '"' || text[0] == '\'' {
		quotes = 1
	}
	name := word(text[quotes:])
	end := quotes + len(name)
	rest := text[end:]
	if quotes > 0 && rest != "" && rest[0] == text[0] {
		rest = rest[1:]
	} else if quotes > 0 {
		return end
	}
	rest = strings.TrimLeft(rest, " \t")
	switch {
	case name != "" && rest != "" && rest[0] == ':' && (quotes > 0 || len(rest) == 1 || rest[1] == ' ' || rest[1] == '\t'):
		return -1
	case h.Known[name], text[end:] != "" && strings.IndexByte(":=", text[end]) >= 0:
		return end
	}
	return 0
}

// brackets are those that are open at a place of a line: braces, square ones, and '$' for those of references.
type brackets []byte

func (b *brackets) take(text string, at int) {
	switch c := text[at]; {
	case c == '{' && at > 0 && text[at-1] == '$':
		*b = append(*b, '$')
	case c == '{' || c == '[':
		*b = append(*b, c)
	case (c == '}' || c == ']') && len(*b) > 0:
		*b = (*b)[:len(*b)-1]
	}
}

func (b brackets) last() byte {
	if len(b) == 0 {
		return 0
	}
	return b[len(b)-1]
}

// lastOf returns the last byte of a text but for blanks and quotes; 0 = there is none.
func lastOf(text string) byte {
	if text = strings.TrimRight(text, ` "'`); text == "" {
		return 0
	}
	return text[len(text)-1]
}

// open notes that a hidden value goes on behind its line.
func (s *state) open(value string) {
	for strings.HasPrefix(value, "&") || strings.HasPrefix(value, "!") { // an anchor, a tag
		_, value, _ = strings.Cut(value, " ")
		value = strings.TrimLeft(value, " ")
	}
	if value != "" && (value[0] == '"' || value[0] == '\'') && !closes(value[1:], value[0]) {
		s.quote = value[0]
	}
}

// isHidden reports whether the values at a key are hidden.
func (h *hiding) isHidden(key string) bool {
	return h.Hidden[key] || !h.Known[key] && (strings.Contains(key, `\`) || sounds(key))
}

// endings are those by which a word of a key sounds like that of a credential, and words are such words as a whole.
var (
	endings = []string{"token", "secret", "password", "passwd", "passphrase", "pass", "pwd", "key", "cookie", "credential"}
	words   = []string{"pat", "bearer", "authorization", "auth", "sig", "signature"}
	// labels are keys of pods whose values are names of labels.
	labels = []string{"key", "topologyKey", "matchLabelKeys", "mismatchLabelKeys"}
)

// sounds reports whether a key that files do not have, such as a variable's name, sounds like that of a credential.
func sounds(key string) bool {
	if slices.Contains(labels, key) {
		return false
	}
	for part := range strings.FieldsFuncSeq(key, func(r rune) bool { return r == '_' || r == '-' || r == '.' }) {
		for part != "" { // its words, as in clientSecret
			end := 1
			for end < len(part) && (!isUpper(part[end]) || isUpper(part[end-1])) {
				end++
			}
			word := strings.TrimRight(strings.ToLower(part[:end]), "0123456789")
			plain := strings.TrimSuffix(word, "s")
			if slices.Contains(words, word) || slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(word, e) || strings.HasSuffix(plain, e) }) {
				return true
			}
			part = part[end:]
		}
	}
	return false
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

var (
	quoted   = regexp.MustCompile(`^(?:"([^"\\]*)"|'([^']*)')`)
	unquoted = regexp.MustCompile(`^(\$\{[^}\s]*\})`)
)

// reference returns how long the value is with which a text begins, where that is one whole reference to a variable, or empty quotes. It
// stands in some brackets.
func reference(text string, in brackets) (int, bool) {
	quotes := len(`""`)
	m := quoted.FindStringSubmatch(text)
	if m == nil {
		quotes, m = 0, unquoted.FindStringSubmatch(text)
	}
	if m == nil {
		return 0, false
	}
	value := strings.Join(m[1:], "")
	n := len(value) + quotes
	return n, ends(text[n:], len(in)) && (value == "" || secret.New(value, value).Variable() != "")
}

// ends reports whether a value ends before a text, in so many brackets: in none of them a comma or a bracket is a part of it.
func ends(text string, open int) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c == ',' && open > 0, c == '#' && i > 0 && (text[i-1] == ' ' || text[i-1] == '\t'):
			return true
		case c == '}' || c == ']':
			open--
		case c != ' ' && c != '\t' && c != ',':
			return false
		}
	}
	return true
}

// shape is what the first of a line is that is neither blank nor a dash.
type shape int

const (
	other    shape = iota
	key            // with a colon
	item           // of a list
	comment        // of a whole line
	bracket        // of a list or a section
	explicit       // a key or its value that is marked as one
)

func shapeOf(text string) shape {
	switch {
	case text == "":
		return item
	case text[0] == '#':
		return comment
	case strings.ContainsRune("{}[]%", rune(text[0])) || text == "---" || text == "...":
		return bracket
	case (text[0] == '?' || text[0] == ':') && (len(text) == 1 || text[1] == ' '):
		return explicit
	case text[0] == '"' || text[0] == '\'':
		if end := strings.IndexByte(text[1:], text[0]); end >= 0 && strings.HasPrefix(strings.TrimLeft(text[end+2:], " \t"), ":") {
			return key
		}
		return other
	case strings.Contains(text, ": ") || strings.Contains(text, ":\t") || strings.HasSuffix(strings.TrimRight(text, " \t"), ":"):
		return key
	}
	return other
}

// afterDashes returns what follows the dashes of the items that begin on a line.
func afterDashes(text string, at int) (int, bool) {
	dash := false
	for at < len(text) && text[at] == '-' && (at+1 == len(text) || text[at+1] == ' ' || text[at+1] == '\t') {
		dash = true
		for at++; at < len(text) && (text[at] == ' ' || text[at] == '\t'); at++ {
		}
	}
	return at, dash
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c == '\\' || c >= 0x80
}

func word(text string) string {
	n := 0
	for n < len(text) && isWord(text[n]) {
		n++
	}
	return text[:n]
}

// before returns the word that ends before a byte, perhaps in quotes, and where it begins.
func before(text string, least, end int) (string, int) {
	for end > least && (text[end-1] == ' ' || text[end-1] == '\t') {
		end--
	}
	if end > least && (text[end-1] == '"' || text[end-1] == '\'') {
		if from := strings.LastIndexByte(text[least:end-1], text[end-1]); from >= 0 {
			return text[least+from+1 : end-1], least + from + 1
		}
		end--
	}
	from := end
	for from > least && isWord(text[from-1]) {
		from--
	}
	return text[from:end], from
}

// maxAnchor bounds what is read of an anchor's name, in bytes: those that begin alike count as one.
const maxAnchor = 100

func anchor(text string) string {
	text = text[:min(len(text), maxAnchor)]
	if end := strings.IndexAny(text, " \t\r\n,]}"); end >= 0 {
		return text[:end]
	}
	return text
}

// closes reports whether a quoted text ends on a line.
func closes(text string, quote byte) bool {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote == '"':
			i++
		case text[i] != quote:
		case quote == '\'' && i+1 < len(text) && text[i+1] == quote:
			i++
		default:
			return true
		}
	}
	return false
}

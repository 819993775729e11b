package repo

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

// Pattern chooses branches, tags, or requests by the branches that they are to be merged into: one exact short name, or a regular expression (Go's RE2 syntax) that must match
// the whole short name. The zero Pattern matches nothing.
type Pattern struct {
	of      kind
	forks   bool // of requests: those of forks match, too
	text    string
	written string // "" for text
	prefix  string
	re      *regexp.Regexp // nil for an exact name
}

// kind is what a pattern is of. Branches go before tags.
type kind uint8

const (
	branches kind = iota
	tags
	requests
)

// ParsePattern reads one entry of `branches`. An entry in which the only special character is a dot
// with no quantifier after it (release-1.2) is an exact name; so is one without special characters.
func ParsePattern(entry string) (Pattern, error) { return parse("branch", entry) }

// special are the characters that make an entry a regular expression.
const special = `\+*?()|[]{}^$`

func parse(noun, entry string) (Pattern, error) {
	if entry == "" {
		return Pattern{}, fmt.Errorf("an empty %s name", noun)
	}
	if len(entry) > 1000 {
		return Pattern{}, fmt.Errorf("a %s pattern of %d bytes, want at most 1000", noun, len(entry))
	}
	if !strings.ContainsAny(entry, special) {
		if err := checkName(noun, entry); err != nil {
			return Pattern{}, err
		}
		return Pattern{text: entry, prefix: entry}, nil
	}
	// Parsed on its own first: between our anchors, `a)|(?:b` would be an expression that matches a part.
	parsed, err := syntax.Parse(entry, syntax.Perl)
	if err != nil {
		if e, ok := errors.AsType[*syntax.Error](err); ok {
			return Pattern{}, fmt.Errorf("regular expression %.80q: %s", entry, e.Code)
		}
		return Pattern{}, fmt.Errorf("regular expression %.80q: %w", entry, err)
	}
	whole := entry
	if strings.Contains(entry, `\Q`) { // which, without \E, would quote the end of ours
		whole = parsed.String() // takes milliseconds for a class such as [^/]
	}
	re, err := regexp.Compile(`^(?:` + whole + `)$`)
	if err != nil {
		return Pattern{}, fmt.Errorf("regular expression %.80q: %w", entry, err)
	}
	// LiteralPrefix stops at the anchor, so it is asked of an expression without it.
	bare, err := regexp.Compile(entry)
	if err != nil {
		return Pattern{}, fmt.Errorf("regular expression %.80q: %w", entry, err)
	}
	prefix, _ := bare.LiteralPrefix()
	return Pattern{text: entry, prefix: prefix, re: re}, nil
}

// ParseTagPattern reads one entry of `tags`, as ParsePattern does one of `branches`.
func ParseTagPattern(entry string) (Pattern, error) {
	p, err := parse("tag", entry)
	if err == nil {
		p.of = tags
	}
	return p, err
}

// ExactPattern returns the pattern that matches only what is called so, whatever characters it holds.
func ExactPattern(name string) Pattern {
	if tag, ok := Tag(name); ok {
		return Pattern{of: tags, text: tag, prefix: tag}
	}
	short := strings.TrimPrefix(Full(name), Heads)
	return Pattern{text: short, prefix: short}
}

// Tags reports whether the pattern chooses tags.
func (p Pattern) Tags() bool { return p.of == tags }

// space returns what the full name of everything that the pattern matches begins with.
func (p Pattern) space() string {
	switch p.of {
	case tags:
		return Tags
	case requests:
		return "refs/"
	}
	return Heads
}

// Match reports whether the pattern matches the whole of what is called so. Of a request it is whether it may: Takes says the rest.
func (p Pattern) Match(name string) bool {
	if p.of == requests {
		_, request := RequestNumber(name)
		return request
	}
	if p.of == tags || strings.HasPrefix(name, "refs/") {
		short, ok := strings.CutPrefix(Full(name), p.space())
		return ok && p.matchShort(short)
	}
	return p.matchShort(name)
}

func (p Pattern) matchShort(short string) bool {
	if p.re == nil {
		return p.text != "" && p.text == short
	}
	return p.re.MatchString(short)
}

// Exact returns what the only thing that the pattern matches is called, if it is an exact name.
func (p Pattern) Exact() (name string, ok bool) {
	if p.re != nil || p.text == "" || p.of == requests {
		return "", false
	}
	return Called(p.space() + p.text)
}

// Prefix returns the literal start that the short name of every match has: the whole of it for an exact pattern. A host can
// be asked for refs under it; what it answers must be matched again.
func (p Pattern) Prefix() string {
	if p.of == requests {
		return ""
	}
	return p.prefix
}

// FullPrefix is Prefix for full names.
func (p Pattern) FullPrefix() string { return p.space() + p.Prefix() }

// As returns the pattern with the text that its entry was expanded from, which is how it is printed.
func (p Pattern) As(written string) Pattern {
	p.written = written
	return p
}

// String returns the entry as it was written, after refs/tags/ where it chooses tags, and "requests to" where it chooses requests: it is for people, and may be the same
// for patterns that differ.
func (p Pattern) String() string {
	switch p.of {
	case tags:
		return Tags + cmp.Or(p.written, p.text)
	case requests:
		return requestsMemo + cmp.Or(p.written, p.text)
	}
	return cmp.Or(p.written, p.text)
}

// AppendKey appends a text to b that only patterns have that match the same.
func (p Pattern) AppendKey(b []byte) []byte {
	switch {
	case p.of == tags:
		b = append(b, Tags...)
	case p.of == requests && p.forks:
		b = append(b, "anyone:"...)
	case p.of == requests:
		b = append(b, "requests:"...)
	}
	return strconv.AppendQuote(strconv.AppendBool(b, p.re == nil), p.text)
}

// Patterns are the branches of a repository that are watched and, after them, its tags, each in the order of the file. Or they are
// one pattern of requests.
type Patterns []Pattern

// Branches returns those that choose branches.
func (ps Patterns) Branches() Patterns {
	if _, requests := ps.Requests(); requests {
		return nil
	}
	return ps[:ps.branches()]
}

// Tags returns those that choose tags.
func (ps Patterns) Tags() Patterns { return ps[ps.branches():] }

// With returns the patterns and another one. Nothing stands beside requests.
func (ps Patterns) With(p Pattern) Patterns {
	if _, requests := ps.Requests(); requests {
		return ps
	}
	at := len(ps)
	if p.of != tags {
		at = ps.branches()
	}
	return slices.Insert(slices.Clone(ps), at, p)
}

// maxMemo bounds a Memo, in bytes as JSON has it.
const maxMemo = 500

// digested begins a Memo from which the patterns cannot be recalled. No tag has a colon in its name, so that no pattern reads like it.
const digested = "digest:"

// Memo returns a text of bounded length that only patterns of tags, or of requests, have that match the same, whatever their order; "" for none. Those that
// are few and short are in it.
func (ps Patterns) Memo() string {
	if len(ps) == 0 {
		return ""
	}
	texts, recalled := make([]string, len(ps)), true
	for i, p := range ps {
		texts[i] = p.text
		if strings.Contains(p.text, "\n") || p.re == nil && strings.ContainsAny(p.text, special) {
			recalled = false
		}
	}
	slices.Sort(texts)
	memo := strings.Join(texts, "\n")
	if p, ok := ps.Requests(); ok {
		memo = p.memo()
	}
	if encoded, err := json.Marshal(memo); recalled && err == nil && len(encoded) <= maxMemo {
		return memo
	}
	keys := make([]string, len(ps))
	for i, p := range ps {
		keys[i] = string(p.AppendKey(nil))
	}
	slices.Sort(keys)
	return digested + fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(keys, " "))))[:12]
}

// Recall returns the patterns of tags, or of requests, that a Memo has; none where they are not in it.
func Recall(memo string) Patterns {
	if p, ok := recallRequest(memo); ok {
		return Patterns{p}
	}
	var ps Patterns
	for text := range strings.SplitSeq(memo, "\n") {
		p, err := ParseTagPattern(text)
		if err != nil {
			return nil
		}
		ps = append(ps, p)
	}
	return ps
}

func (ps Patterns) branches() int {
	n := len(ps)
	for n > 0 && ps[n-1].of == tags {
		n--
	}
	return n
}

// Match reports whether any pattern matches what is called so.
func (ps Patterns) Match(name string) bool {
	for _, p := range ps {
		if p.Match(name) {
			return true
		}
	}
	return false
}

// Names returns what all that matches is called, sorted and each once, when they are known: when all patterns are exact names.
func (ps Patterns) Names() (names []string, known bool) {
	for _, p := range ps {
		name, exact := p.Exact()
		if !exact {
			return nil, false
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), true
}

// String returns the entries, separated by commas.
func (ps Patterns) String() string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.String()
	}
	return strings.Join(texts, ", ")
}

// Key returns a text that only patterns have that match the same.
func (ps Patterns) Key() string {
	var key []byte
	for _, p := range ps {
		key = p.AppendKey(append(key, ' '))
	}
	return string(key)
}

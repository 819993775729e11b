package repo

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

// Pattern chooses branches: one exact name, or a regular expression (Go's RE2 syntax) that must match
// the whole name. The zero Pattern matches nothing.
type Pattern struct {
	text    string
	written string // "" for text
	prefix  string
	re      *regexp.Regexp // nil for an exact name
}

// ParsePattern reads one entry of `branches`. An entry in which the only special character is a dot
// with no quantifier after it (release-1.2) is an exact name; so is one without special characters.
func ParsePattern(entry string) (Pattern, error) {
	if entry == "" {
		return Pattern{}, fmt.Errorf("an empty branch name")
	}
	if len(entry) > 1000 {
		return Pattern{}, fmt.Errorf("a branch pattern of %d bytes, want at most 1000", len(entry))
	}
	if !strings.ContainsAny(entry, `\+*?()|[]{}^$`) {
		if err := CheckBranch(entry); err != nil {
			return Pattern{}, err
		}
		return ExactPattern(entry), nil
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

// ExactPattern returns the pattern that matches only branch, whatever characters it holds.
func ExactPattern(branch string) Pattern { return Pattern{text: branch, prefix: branch} }

// Match reports whether the pattern matches the whole of branch.
func (p Pattern) Match(branch string) bool {
	if p.re == nil {
		return p.text != "" && p.text == branch
	}
	return p.re.MatchString(branch)
}

// Exact returns the one name that the pattern matches, if it is an exact name.
func (p Pattern) Exact() (string, bool) { return p.text, p.re == nil && p.text != "" }

// Prefix returns the literal start that every match has: the whole name for an exact pattern. A host can
// be asked for refs under it; what it answers must be matched again.
func (p Pattern) Prefix() string { return p.prefix }

// As returns the pattern with the text that its entry was expanded from, which is how it is printed.
func (p Pattern) As(written string) Pattern {
	p.written = written
	return p
}

// String returns the entry as it was written: it is for people, and may be the same for patterns that differ.
func (p Pattern) String() string { return cmp.Or(p.written, p.text) }

// AppendKey appends a text to b that only patterns have that match the same.
func (p Pattern) AppendKey(b []byte) []byte {
	return strconv.AppendQuote(strconv.AppendBool(b, p.re == nil), p.text)
}

// Patterns are the branches of a repository that are watched, in the order of the file.
type Patterns []Pattern

// Match reports whether any pattern matches branch.
func (ps Patterns) Match(branch string) bool {
	for _, p := range ps {
		if p.Match(branch) {
			return true
		}
	}
	return false
}

// Names returns the names that match, sorted and each once, when they are known: when all patterns are exact names.
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

package rule

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// slips are starts of an entry that no branch's name has, in the order in which Git puts them together.
var slips = []struct{ start, say string }{
	{"refs/heads/", "begins with refs/heads/, which is no part of a branch's name; want the name alone"},
	{"heads/", "begins with heads/, which is no part of a branch's name; want the name alone"},
	{"refs/remotes/origin/", "begins with refs/remotes/origin/, which is no part of a branch's name; want the name alone"},
	{"remotes/origin/", "begins with remotes/origin/, which is no part of a branch's name; want the name alone"},
	{"origin/", "begins with origin/, which is the name of a remote and no part of the branch's; want the name alone"},
}

// Meant says what is wrong with an entry of branches, and which entry was probably meant; "" for what is not known.
func Meant(entry string) (say, want string) {
	anchor, name := "", entry
	if rest, ok := strings.CutPrefix(entry, "^"); ok {
		anchor, name = "^", rest
	}
	for _, s := range slips {
		if rest, ok := strings.CutPrefix(name, s.start); ok && rest != "" {
			return s.say, anchor + regular(rest)
		}
	}
	switch {
	case strings.HasPrefix(name, "refs/"):
		return "begins with refs/ and is no branch; want the name of a branch, or that of a tag in tags", ""
	case strings.HasPrefix(name, "!"):
		return "begins with !, which excludes nothing; want the branches that are watched, and no others", ""
	case isWildcard(entry):
		return "has a wildcard *, which in a regular expression repeats the character before it; want .* for any text", regular(entry)
	case regular(entry) != entry:
		return "has braces, which are part of the name in a regular expression; want ( | ) for one of several", regular(entry)
	case strings.Contains(entry, ",") && !strings.ContainsAny(entry, Special):
		return "has a comma, which is part of the name; want an entry for each branch", strings.ReplaceAll(entry, ",", " and ")
	}
	return "", ""
}

// MeantTag is Meant of an entry of tags.
func MeantTag(entry string) (say, want string) {
	for _, start := range []string{"refs/tags/", "tags/"} {
		if rest, ok := strings.CutPrefix(strings.TrimPrefix(entry, "^"), start); ok && rest != "" {
			return "begins with " + start + ", which is no part of a tag's name; want the name alone", regular(rest)
		}
	}
	if isWildcard(entry) {
		return "has a wildcard *, which in a regular expression repeats the character before it; want .* for any text", regular(entry)
	}
	return "", ""
}

// Special are the characters that make an entry a regular expression.
const Special = `\+*?()|[]{}^$`

var (
	// star is a * after something that nobody repeats: a letter, a digit, / or another sign that is no operator.
	star     = regexp.MustCompile(`([^.\\+*?()|\[\]{}^$])\*`)
	braces   = regexp.MustCompile(`\{[^{}\\]*,[^{}\\]*\}`)
	counts   = regexp.MustCompile(`^\{[0-9]*,[0-9]*\}$`)
	wildcard = regexp.MustCompile(`^[^\\+?()|\[\]{}^$]*$`)
)

// isWildcard reports whether an entry is written as a shell's pattern: with a * after a /, which a name never repeats,
// or after any character that is no operator where * is the only operator.
func isWildcard(entry string) bool {
	if !star.MatchString(entry) {
		return false
	}
	if wildcard.MatchString(entry) {
		return true
	}
	re, err := syntax.Parse(entry, syntax.Perl)
	return err == nil && repeatsSlash(re)
}

// repeatsSlash reports whether a part of the expression is /*.
func repeatsSlash(re *syntax.Regexp) bool {
	if re.Op == syntax.OpStar && re.Sub[0].Op == syntax.OpLiteral && string(re.Sub[0].Rune) == "/" {
		return true
	}
	return slices.ContainsFunc(re.Sub, repeatsSlash)
}

// regular returns the regular expression for a shell's pattern, and any other entry as it is.
func regular(entry string) string {
	switch {
	case isWildcard(entry) && wildcard.MatchString(entry):
		return star.ReplaceAllString(entry, "$1.*")
	case isWildcard(entry):
		return strings.ReplaceAll(entry, "/*", "/.*")
	}
	return braces.ReplaceAllStringFunc(entry, func(s string) string {
		if counts.MatchString(s) {
			return s
		}
		return fmt.Sprintf("(%s)", strings.ReplaceAll(s[1:len(s)-1], ",", "|"))
	})
}

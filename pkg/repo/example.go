package repo

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxStates bounds the search for an example, in states. A pattern that people write takes some tens of them.
const maxStates = 20_000

// Example returns one of the shortest names that the pattern matches and Git allows for a branch, made of letters and
// digits where it can be, as it is called. false says that none was found: there is none, or it is too hard to find.
func (p Pattern) Example() (string, bool) {
	short, _ := p.search()
	if short == "" {
		return "", false
	}
	if p.of == requests {
		return RequestName(Pulls, 1)
	}
	return Called(p.space() + short)
}

// Impossible reports whether it is certain that the pattern matches no name that Git allows.
func (p Pattern) Impossible() bool {
	_, none := p.search()
	return none
}

// search returns an example, or whether it is certain that there is none.
func (p Pattern) search() (name string, none bool) {
	if p.re == nil {
		return p.text, false
	}
	tree, err := syntax.Parse(p.text, syntax.Perl)
	if err != nil {
		return "", false
	}
	s := search{rests: map[rest]*rest{}, shortest: map[state]int{}, tails: map[step]string{}, chars: map[*syntax.Regexp][]rune{}}
	s.add(0, state{todo: s.start(tree, nil)}, node{parent: -1})
	for length := range s.nodes {
		for i := 0; i < len(s.nodes[length]); i++ {
			at := s.nodes[length][i].state
			switch {
			case len(s.shortest) > maxStates:
				return "", false
			case at.todo != nil:
				s.expand(at, length, i)
			case at.next != wordNext:
				if name := s.name(length, i); CheckBranch(name) == nil {
					if !p.matchShort(name) {
						return "", false
					}
					return name, false
				}
			}
		}
	}
	return "", true
}

// search is a walk through all that an expression matches, shortest first. Its states are what is still to be
// matched, with all that matters of the name so far. They are found one by one, so that the size of what an
// expression stands for costs nothing.
type search struct {
	rests    map[rest]*rest
	shortest map[state]int // the length at which a state was found
	tails    map[step]string
	chars    map[*syntax.Regexp][]rune
	nodes    [maxBranch + 1][]node // by the length of the name so far, in bytes
}

// rest is an expression that is still to be matched, and another rest after it; nil is nothing. Equal ones are
// the same pointer.
type rest struct {
	re *syntax.Regexp
	// at is the first part of a literal or a concatenation that is still to be matched. Of a repetition, at is how
	// often at least it is still to be matched, and most how often at most; -1 is any number.
	at, most int
	then     *rest
}

// state is where a walk is.
type state struct {
	todo *rest
	tail string // a short name after which Git allows the same; see tailOf
	next next
}

// next is what an assertion, such as \b or $, demands of the next character.
type next uint8

const (
	anyNext next = iota
	wordNext
	otherNext // or the end
	endNext
)

// node is a state with the way to it.
type node struct {
	state
	parent int  // index in the nodes of the length before char
	char   rune // 0 where the name did not grow
}

type step struct {
	tail string
	char rune
}

// add notes a state, unless it was found with a name that is as short.
func (s *search) add(length int, at state, n node) {
	if was, ok := s.shortest[at]; length <= maxBranch && (!ok || length < was) {
		s.shortest[at] = length
		n.state = at
		s.nodes[length] = append(s.nodes[length], n)
	}
}

// name returns the name that led to a node.
func (s *search) name(length, i int) string {
	var chars []rune
	for i >= 0 {
		n := s.nodes[length][i]
		if n.char != 0 {
			chars = append(chars, n.char)
			length -= utf8.RuneLen(n.char)
		}
		i = n.parent
	}
	slices.Reverse(chars)
	return string(chars)
}

func (s *search) rest(re *syntax.Regexp, at, most int, then *rest) *rest {
	r := rest{re, at, most, then}
	if s.rests[r] == nil {
		s.rests[r] = &r
	}
	return s.rests[r]
}

// start returns the rest that is all of an expression, and then another.
func (s *search) start(re *syntax.Regexp, then *rest) *rest {
	low, high := 0, 0
	switch re.Op {
	case syntax.OpStar:
		high = -1
	case syntax.OpPlus:
		low, high = 1, -1
	case syntax.OpQuest:
		high = 1
	case syntax.OpRepeat:
		// In a name of at most 255 bytes, of 256 times or more at least one is empty, and may be repeated.
		low, high = min(re.Min, maxBranch+1), re.Max
		if high > maxBranch {
			high = -1
		}
	}
	return s.rest(re, low, high, then)
}

// expand adds the states that follow from one, which is a node's.
func (s *search) expand(at state, length, i int) {
	todo := at.todo
	re, then := todo.re, todo.then
	become := func(todo *rest) { s.add(length, state{todo, at.tail, at.next}, node{parent: i}) }
	demand := func(want next) {
		if both, ok := at.next.and(want); ok {
			s.add(length, state{then, at.tail, both}, node{parent: i})
		}
	}
	take := func(chars []rune, then *rest) {
		for _, c := range chars {
			if tail := s.after(at.tail, c); tail != "" && at.next.allows(c) {
				s.add(length+utf8.RuneLen(c), state{todo: then, tail: tail}, node{parent: i, char: c})
			}
		}
	}
	switch re.Op {
	case syntax.OpEmptyMatch:
		become(then)
	case syntax.OpLiteral:
		if todo.at+1 < len(re.Rune) {
			then = s.rest(re, todo.at+1, 0, then)
		}
		take(literal(re, todo.at), then)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		take(s.class(re), then)
	case syntax.OpBeginLine, syntax.OpBeginText: // a name is one line
		if at.tail == "" {
			become(then)
		}
	case syntax.OpEndLine, syntax.OpEndText:
		demand(endNext)
	case syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		last, _ := utf8.DecodeLastRuneInString(at.tail)
		if isWord(last) == (re.Op == syntax.OpWordBoundary) {
			demand(otherNext)
		} else {
			demand(wordNext)
		}
	case syntax.OpCapture:
		become(s.start(re.Sub[0], then))
	case syntax.OpConcat:
		if todo.at+1 < len(re.Sub) {
			then = s.rest(re, todo.at+1, 0, then)
		}
		become(s.start(re.Sub[todo.at], then))
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			become(s.start(sub, then))
		}
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		if todo.at == 0 {
			become(then)
		}
		if todo.most != 0 {
			become(s.start(re.Sub[0], s.rest(re, max(todo.at-1, 0), max(todo.most-1, -1), then)))
		}
	}
}

// and returns what fulfils both demands, and whether anything does.
func (n next) and(o next) (next, bool) {
	if n == o || o == anyNext {
		return n, true
	}
	return max(n, o), n == anyNext || n != wordNext && o != wordNext
}

func (n next) allows(c rune) bool {
	return n == anyNext || n == wordNext && isWord(c) || n == otherNext && !isWord(c)
}

func isWord(c rune) bool {
	return c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// after returns the tail of a name that c was added to, or "" where no branch name begins so.
func (s *search) after(tail string, c rune) string {
	to, known := s.tails[step{tail, c}]
	if !known {
		if name := tail + string(c); utf8.ValidRune(c) && CheckBranch(name+"x") == nil {
			to = tailOf(name)
		}
		s.tails[step{tail, c}] = to
	}
	return to
}

// tailOf returns a short name for all that begin branch names and may go on as name may, and whose last character
// is of the same kind for \b. There are some twenty.
func tailOf(name string) string {
	if name == "@" || begins("HEAD", name) {
		return name
	}
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 && begins(".lock", name[dot:]) {
		return "x" + name[dot:]
	}
	switch last, _ := utf8.DecodeLastRuneInString(name); {
	case last == '/', last == '@':
		return "x" + string(last)
	case isWord(last):
		return "xx"
	}
	return "x!"
}

func begins(word, start string) bool { return word[:min(len(start), len(word))] == start }

// class returns the characters to try for a class.
func (s *search) class(re *syntax.Regexp) []rune {
	if s.chars[re] == nil {
		ranges := re.Rune
		if re.Op != syntax.OpCharClass {
			ranges = []rune{0, unicode.MaxRune}
		}
		s.chars[re] = pick(ranges)
	}
	return s.chars[re]
}

// literal returns the characters to try for one of a literal.
func literal(re *syntax.Regexp, at int) []rune {
	c := re.Rune[at]
	if re.Flags&syntax.FoldCase == 0 {
		return []rune{c}
	}
	ranges := []rune{c, c}
	for other := unicode.SimpleFold(c); other != c; other = unicode.SimpleFold(other) {
		ranges = append(ranges, other, other)
	}
	return pick(ranges)
}

// readable are the characters that an example has where it can, the best first.
const readable = "x1abcdefghijklmnopqrstuvwyz023456789XABCDEFGHIJKLMNOPQRSTUVWYZ-_é日𝒳"

// pick returns one character of each kind that is in the ranges. All of a kind are alike to CheckBranch and \b.
func pick(ranges []rune) []rune {
	picked := []rune{}
	kinds := map[rune]bool{}
	consider := func(c rune) {
		kind := c
		switch {
		case strings.ContainsRune("/.@{-HEADlock", c):
		case c >= utf8.RuneSelf:
			kind = rune(-utf8.RuneLen(c))
		case isWord(c):
			kind = 'x'
		default:
			kind = '!'
		}
		if !kinds[kind] && utf8.ValidRune(c) && CheckBranch("x"+string(c)+"x") == nil {
			kinds[kind] = true
			picked = append(picked, c)
		}
	}
	within := func(c rune) bool {
		for i := 0; i < len(ranges); i += 2 {
			if ranges[i] <= c && c <= ranges[i+1] {
				return true
			}
		}
		return false
	}
	for _, c := range readable {
		if within(c) {
			consider(c)
		}
	}
	for i := 0; i < len(ranges); i += 2 {
		for c := ranges[i]; c <= min(ranges[i+1], unicode.MaxASCII); c++ {
			consider(c)
		}
		// The first of each length in bytes; and the first after the surrogates, which are no characters.
		for _, first := range []rune{utf8.RuneSelf, 0x800, 0xE000, 0x10000} {
			if c := max(ranges[i], first); c <= ranges[i+1] {
				consider(c)
			}
		}
	}
	return picked
}

package repo

import (
	"strconv"
	"strings"
)

// What full names of the heads of pull and merge requests begin with. All of them end with "/head".
const (
	Pulls  = "refs/pull/"
	Merges = "refs/merge-requests/"
)

// maxNumber bounds the number of a request.
const maxNumber = 1<<31 - 1

// Request is what a host says of an open pull or merge request beside its head. Texts of whoever opened it are no part of it.
type Request struct {
	Target    string `json:"target,omitempty"`     // short name of the branch that it is to be merged into
	TargetSHA SHA    `json:"target_sha,omitempty"` // that branch's commit, where the host says so
	// Own is true where the host said that the request is of a branch of the repository itself. All else is a fork's, also
	// where nothing is known.
	Own bool `json:"own,omitempty"`
}

// RequestName returns what the request with that number is called, by what full names begin with on its host. It is false for
// what is no number of a request.
func RequestName(start string, number int64) (name string, ok bool) {
	if number < 1 || number > maxNumber {
		return "", false
	}
	return start + strconv.FormatInt(number, 10) + "/head", true
}

// RequestNumber returns the number of a request, by what it is called.
func RequestNumber(name string) (number string, ok bool) {
	for _, start := range []string{Pulls, Merges} {
		if rest, is := strings.CutPrefix(name, start); is {
			number, ok = strings.CutSuffix(rest, "/head")
			n, err := strconv.ParseInt(number, 10, 32)
			return number, ok && err == nil && n > 0 && strconv.FormatInt(n, 10) == number
		}
	}
	return "", false
}

// RequestPattern returns the pattern that matches requests. target chooses the branches that they are to be merged into; requests of
// forks match only with forks.
func RequestPattern(target Pattern, forks bool) Pattern {
	target.of, target.forks = requests, forks
	return target
}

// Requests reports whether the pattern chooses requests.
func (p Pattern) Requests() bool { return p.of == requests }

// Forks reports whether requests of forks match.
func (p Pattern) Forks() bool { return p.forks }

// Takes reports whether a pattern of requests matches one. What it is called does not tell.
func (p Pattern) Takes(r Request) bool {
	return p.of == requests && (r.Own || p.forks) && p.matchShort(r.Target)
}

// Requests returns the pattern that chooses requests. It stands alone.
func (ps Patterns) Requests() (Pattern, bool) {
	if len(ps) == 0 || !ps[0].Requests() {
		return Pattern{}, false
	}
	return ps[0], true
}

// Forks reports whether requests of forks match.
func (ps Patterns) Forks() bool {
	p, _ := ps.Requests()
	return p.forks
}

// OfRequests returns those that choose requests.
func (ps Patterns) OfRequests() Patterns {
	if _, requests := ps.Requests(); requests {
		return ps
	}
	return nil
}

// Sighted returns those of which what is there at first is recorded apart from branches, and whose Memo says that: tags or requests.
func (ps Patterns) Sighted() Patterns {
	if of := ps.OfRequests(); of != nil {
		return of
	}
	return ps.Tags()
}

// requestsMemo is what a Memo of requests begins with. No tag has a blank in its name, so that no pattern of tags reads like it.
const requestsMemo = "requests to "

// requestsOfAnyone ends one of a pattern that forks match, too.
const requestsOfAnyone = " from anyone"

// memo returns the text from which recallRequest makes the pattern again.
func (p Pattern) memo() string {
	if p.forks {
		return requestsMemo + p.text + requestsOfAnyone
	}
	return requestsMemo + p.text
}

// recallRequest returns the pattern that a Memo has; false for one of something else.
func recallRequest(memo string) (Pattern, bool) {
	text, is := strings.CutPrefix(memo, requestsMemo)
	if !is {
		return Pattern{}, false
	}
	text, forks := strings.CutSuffix(text, requestsOfAnyone)
	p, err := ParsePattern(text)
	return RequestPattern(p, forks), err == nil
}

// Package discover has what `discover` says of the repositories that nobody wrote down: which of an owner's are wanted, and what is known
// of those that were found.
package discover

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/oneline"
)

// Most is how many repositories are known at most, over all owners.
const Most = 20_000

// Wanted says which repositories of an owner are watched.
type Wanted struct {
	Owner          string         // as the host's addresses name it, such as company or company/platform
	Match, Exclude *regexp.Regexp // of the whole name, or of the whole path below the owner; nil = all, and none
	Topic          string         // that each has; "" = any
	File           string         // that is in the default branch of each; "" = any
	Archived       bool           // also those
	Forks          bool           // also those
}

// Repository is one that was found.
type Repository struct {
	ID       string   `json:"id"`   // of the host, which stays when it is renamed
	Name     string   `json:"name"` // a DNS label that follows from the path by which it was found first, and stays
	Path     string   `json:"path"` // on the host, such as company/platform/web
	Branch   string   `json:"branch"`
	Topics   []string `json:"topics,omitempty"`
	Archived bool     `json:"archived,omitempty"`
	Fork     bool     `json:"fork,omitempty"`
	File     bool     `json:"file,omitempty"`    // the file that was asked for is there
	Since    int64    `json:"since,omitempty"`   // when it was found first, in seconds of Unix time, and after those that were there
	Missing  int64    `json:"missing,omitempty"` // since when its host's lists lack it, or what it is watched for; 0 = they do not
	Many     bool     `json:"many,omitempty"`    // and lacked more than half of what is watched
}

// Variables returns what the template's variables stand for. The host is the address of its server: no address that the server tells is
// used, so that it gets the credential of no other one.
func (r *Repository) Variables(host string) map[string]string {
	return map[string]string{
		"repo": r.Name, "repo_path": r.Path, "repo_owner": r.Path[:max(0, strings.LastIndexByte(r.Path, '/'))],
		"repo_url": host + "/" + r.Path, "repo_branch": r.Branch,
	}
}

// Identity returns 12 hexadecimal digits that tell the repository apart from all others of all hosts, whatever their names and addresses; ""
// of one that is made up. The host is the address of its server.
func (r *Repository) Identity(host string) string {
	if r.ID == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(host + "\n" + r.ID))
	return hex.EncodeToString(sum[:6])
}

// Question is what a host is asked.
type Question struct {
	Host  string `json:"host"` // its address, as a configuration has it
	Owner string `json:"owner"`
	File  string `json:"file,omitempty"`
}

// List is the last answer that was taken.
type List struct {
	Question
	Repositories []Repository `json:"repositories"` // in the order in which they were found
}

// Failure is why a host gives no list.
type Failure struct {
	Question
	Kind  string `json:"kind"`  // of the error
	Why   string `json:"why"`   // on one line, without a credential
	Since int64  `json:"since"` // in seconds of Unix time
}

// Found is all that is known. Nobody changes one.
type Found struct {
	Lists   []List
	Failing []Failure // of what was asked last
	// Number rises with each write that changes what follows from it, and is no less than the seconds of Unix time at which that was, so that
	// it rises also after what was written is lost. It is 0 where nothing is known.
	Number int64
	// For is the config.Config.Files of who wrote it: the files by which that one chooses among Lists.
	For  string
	Hash string // of all that, but for what fails and what is missing for now; "" where nothing was ever known
}

// Of returns what is known of one of the questions that are asked. The first about an owner to which there is no answer takes the place of
// one that is asked no more, such as that for another file, and has its answer meanwhile. A list is that of one question at most.
func (f *Found) Of(q Question, asked []Question) (List, bool) {
	if f == nil {
		return List{}, false
	}
	known := func(q Question) bool {
		return slices.ContainsFunc(f.Lists, func(l List) bool { return l.Question == q })
	}
	i := slices.IndexFunc(f.Lists, func(l List) bool { return l.Question == q })
	if i < 0 {
		first := slices.IndexFunc(asked, func(o Question) bool { return o.Host == q.Host && o.Owner == q.Owner && !known(o) })
		if first < 0 || asked[first] != q {
			return List{}, false
		}
		i = slices.IndexFunc(f.Lists, func(l List) bool {
			return l.Host == q.Host && l.Owner == q.Owner && !slices.Contains(asked, l.Question)
		})
	}
	if i < 0 {
		return List{}, false
	}
	return f.Lists[i], true
}

// OfEach reports whether something was found of each question that is asked.
func (f *Found) OfEach(asked []Question) bool {
	return !slices.ContainsFunc(asked, func(q Question) bool {
		list, _ := f.Of(q, asked)
		return len(list.Repositories) == 0
	})
}

// LeftOut tells which repositories are not watched, and why, of the first few.
type LeftOut struct {
	n   int
	why []string
}

// Add adds the one at a path, because of a key of the template.
func (l *LeftOut) Add(path, key, message string) {
	if l.n++; l.n <= 3 {
		l.why = append(l.why, oneline.Of(fmt.Sprintf("%s, as %s %s", path, key, message), 200))
	}
}

// Any reports whether there is one.
func (l *LeftOut) Any() bool { return l.n > 0 }

func (l *LeftOut) String() string {
	return fmt.Sprintf("%d of what was found: %s", l.n, strings.Join(l.why, "; "))
}

// Named reports whether a repository is wanted by its name, whatever else it is.
func (w *Wanted) Named(r Repository) bool {
	below := w.below(r.Path)
	is := func(re *regexp.Regexp) bool {
		return re.MatchString(below) || re.MatchString(below[strings.LastIndexByte(below, '/')+1:])
	}
	return (w.Match == nil || is(w.Match)) && (w.Exclude == nil || !is(w.Exclude))
}

// Wants reports whether a repository is wanted. One without a commit is not, as there is nothing to watch.
func (w *Wanted) Wants(r Repository) bool {
	return w.Named(r) && r.Branch != "" && (w.Archived || !r.Archived) && (w.Forks || !r.Fork) &&
		(w.File == "" || r.File) && (w.Topic == "" || slices.Contains(r.Topics, w.Topic))
}

// below returns what a path has below the owner.
func (w *Wanted) below(path string) string {
	if n := len(w.Owner); len(path) > n && path[n] == '/' && strings.EqualFold(path[:n], w.Owner) {
		return path[n+1:]
	}
	return path[strings.LastIndexByte(path, '/')+1:]
}

var notInALabel = regexp.MustCompile(`[^a-z0-9]+`)

// NameOf returns the DNS label for the repository at a path: what is below the owner, with - for all that no label has. What is
// longer than a name may be is cut, and ends with a hash.
func NameOf(owner, path string) string {
	w := Wanted{Owner: owner}
	label := strings.Trim(notInALabel.ReplaceAllString(strings.ToLower(w.below(path)), "-"), "-")
	if len(label) > rule.MaxName {
		sum := sha256.Sum256([]byte(path))
		label = strings.TrimRight(label[:rule.MaxName-9], "-") + "-" + hex.EncodeToString(sum[:4])
	}
	return label
}

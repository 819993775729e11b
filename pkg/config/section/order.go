package section

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/spelling"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// maxOrdered bounds the waves of a group, and the needs of a member. A group has as many members at most.
const maxOrdered = 150

// What messages ask for.
const (
	wantShares = "a rising list of shares of the members that ends with 100%, such as [10%, 50%, 100%]"
	wantNeeds  = "a list of repositories of the same group"
	wantNeed   = "the name of a repository of the same group"
)

var share = regexp.MustCompile(`^([1-9][0-9]?|100) ?%$`)

// SharesField is the list of the shares of waves, in percent.
func SharesField(key string, p *[]int) schema.Field {
	return schema.Field{Key: key, Kind: "list", Want: wantShares,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			d.Items(path, n, wantShares, func(path string, n *yaml.Node) {
				v, ok := d.Value(path, n, "a share, such as 10%")
				m := share.FindStringSubmatch(v.Reveal())
				switch {
				case ok && m == nil:
					d.Mismatch(path, v.Reveal(), "a share of 1% to 100%")
				case ok:
					percent, _ := strconv.Atoi(m[1]) // the expression has digits alone
					*p = append(*p, percent)
				}
			})
			rising := slices.IsSortedFunc(*p, func(a, b int) int { return cmp.Or(cmp.Compare(a, b), -1) })
			if len(*p) == len(n.Content) && len(*p) > 0 && (!rising || (*p)[len(*p)-1] != 100) {
				d.Fail(path, "does not rise to 100%%; want %s", wantShares)
			}
		}}
}

// NeedsField is the list of the repositories that a member waits for.
func NeedsField(key string, p *[]string) schema.Field {
	return schema.Field{Key: key, Kind: "list", Want: wantNeeds,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			if len(n.Content) > maxOrdered {
				d.Fail(path, "has %d entries; want %s, of which there are at most %d", len(n.Content), wantNeeds, maxOrdered)
				return
			}
			d.Items(path, n, wantNeeds, func(path string, n *yaml.Node) {
				var name string
				schema.Text("name", &name, wantNeed, rule.IsName).Read(d, path, n)
				if slices.Contains(*p, name) && name != "" {
					d.Fail(path, "names what an entry before it names; want each once")
				}
				*p = append(*p, name)
			})
		}}
}

// Ordered is a member of a group, as far as the order is concerned.
type Ordered struct {
	Path, Name string // of the repository
	Shown      string // what a message may say of the name
	Needs      []string
}

// OrderOf sees to what the keys of a member mean for its group's order, and returns what CheckOrder wants to know of it, if
// anything. group is the path of the group, "" for none.
func OrderOf(d *schema.Decoder, group string, by strategy.Name, path, name string, needs []string) []Ordered {
	idle(d, path+".deploy.wave", by, strategy.Waves)
	idle(d, path+".deploy.needs", by, strategy.Needs)
	if by == strategy.Waves && d.Given(group+".waves") && d.Given(path+".deploy.wave") {
		d.Warn(path+".deploy.wave", "means nothing, as the group's waves are shares of its members; want one of the two")
	}
	if by != strategy.Needs {
		return nil
	}
	d.Keep(path + ".deploy.needs")
	return []Ordered{{Path: path, Name: name, Shown: d.Shown(path+".name", name), Needs: needs}}
}

// idle warns of a key that only one strategy looks at.
func idle(d *schema.Decoder, key string, by, of strategy.Name) {
	if d.Given(key) && by != of {
		d.Warn(key, "means nothing but in a group with execution_strategy: %s; want that, or it left out", of)
	}
}

// CheckOrder sees to what the keys of a group's order mean for each other. path is that of the group; members are what
// OrderOf returned of each.
func CheckOrder(d *schema.Decoder, path string, by strategy.Name, members []Ordered) {
	idle(d, path+".waves", by, strategy.Waves)
	idle(d, path+".canary_check", by, strategy.Canary)
	if by == strategy.Sequential && d.Given(path+".max_parallel") {
		d.Warn(path+".max_parallel", "means nothing in a sequential group; want it left out, or execution_strategy: parallel")
	}
	if by == strategy.Canary && !d.Given(path+".canary_check") && !d.Failed(path+".canary_check") {
		d.Fail(path+".canary_check", "is missing; want a list of shell commands that check the first member, before the others are deployed")
	}
	var names []string
	shown := make(map[string]string)
	needs := make(map[string][]string)
	for _, m := range members {
		names = append(names, m.Name)
		shown[m.Name] = m.Shown
		needs[m.Name] = m.Needs
	}
	for _, m := range members {
		for i, need := range m.Needs {
			if need == "" || slices.Contains(names, need) {
				continue
			}
			want := "want one of it, or another group"
			if near := spelling.Nearest(need, names); near != "" {
				want = "did you mean " + shown[near] + "?"
			}
			d.Fail(fmt.Sprintf("%s.deploy.needs[%d]", m.Path, i), "names no repository of the group; %s", want)
		}
	}
	if way := strategy.Cycle(names, needs); way != nil {
		at := members[slices.Index(names, way[0])].Path
		for i := range way {
			way[i] = shown[way[i]]
		}
		d.Fail(at+".deploy.needs", "never begins, as it waits for itself: %s; want no such circle", strings.Join(way, " needs "))
	}
}

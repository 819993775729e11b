// Package order has the keys that say who waits for whom in a group, and what they mean for each other.
package order

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/secret"
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

	wantExpression = "an expression of CEL that is true where member needs other"
	wantModule     = "the path of a WebAssembly module, from the folder of this file"
	wantDigest     = "the SHA-256 of that file, as 64 hexadecimal digits"
)

// maxPath bounds the path of a module, in bytes.
const maxPath = 1000

var digest = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)

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

// ExpressionField is the expression that says who waits for whom. No variable is expanded in it.
func ExpressionField(key string, p *string) schema.Field {
	return plain(key, wantExpression, p, func(string) bool { return true })
}

// ModuleFields are those of the section of the module that says who waits for whom. No variable is expanded in them.
func ModuleFields(m *strategy.Module) []schema.Field {
	return []schema.Field{
		plain("file", wantModule, &m.File, func(text string) bool { return len(text) <= maxPath && !strings.Contains(text, "\x00") }),
		plain("sha256", wantDigest, &m.SHA256, digest.MatchString),
	}
}

// plain is a text in which no variable is expanded.
func plain(key, want string, p *string, right func(string) bool) schema.Field {
	return schema.Field{Key: key, Kind: "string", Want: want,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			text, ok := d.Text(path, n, want)
			switch {
			case !ok:
			case strings.TrimSpace(text) == "":
				d.Fail(path, "is empty; want %s", want)
			case secret.HasReference(text):
				d.Fail(path, "refers to a variable; want the text itself, as who waits for whom stands in this file")
			case !right(text):
				d.Mismatch(path, text, want)
			default:
				*p = text
			}
		}}
}

// Settings are what a group says of the order of its members.
type Settings struct {
	By         strategy.Name
	Expression string // by which one needs another; "" where none says it
	Module     strategy.Module
}

// asks reports whether the expression or the module looks at what members say of themselves at a key.
func (o Settings) asks(key string) bool {
	return o.By == strategy.Needs && (strings.Contains(o.Expression, key) || o.Module.File != "")
}

// Shapes are what JSON Schema can say of these keys.
var Shapes = map[string]schema.Shape{
	wantShares: {"type": "array", "minItems": 1, "items": schema.OrVariable(schema.Pattern(share, 5))},
	wantDigest: {"type": schema.Scalar()["type"], "pattern": digest.String()},
	wantNeeds:  {"type": "array", "minItems": 1, "maxItems": maxOrdered, "uniqueItems": true, "items": schema.OrVariable(schema.Pattern(rule.DNSLabel, rule.MaxName))},
}

// Ordered is a member of a group, as far as the order is concerned.
type Ordered struct {
	Path  string // of the repository
	Shown string // what a message may say of the name
	About strategy.About
}

// Of sees to what the keys of a member mean for its group's order, and returns what Check wants to know of it, if
// anything. group is the path of the group, "" for none.
func Of(d *schema.Decoder, group string, o Settings, path string, about strategy.About) []Ordered {
	if !o.asks("wave") {
		idle(d, path+".deploy.wave", o.By, strategy.Waves)
	}
	idle(d, path+".deploy.needs", o.By, strategy.Needs)
	if o.By == strategy.Waves && d.Given(group+".waves") && d.Given(path+".deploy.wave") {
		d.Warn(path+".deploy.wave", "means nothing, as the group's waves are shares of its members; want one of the two")
	}
	if o.By != strategy.Needs {
		return nil
	}
	if o.Expression != "" && d.Given(path+".deploy.needs") && !o.asks("needs") {
		d.Warn(path+".deploy.needs", "means nothing, as the group's needs is an expression that does not ask for it; want one of the two, or other.name in member.needs in the expression")
	}
	d.Keep(path + ".deploy.needs")
	return []Ordered{{Path: path, Shown: d.Shown(path+".name", about.Name), About: about}}
}

// idle warns of a key that only one strategy looks at.
func idle(d *schema.Decoder, key string, by, of strategy.Name) {
	if d.Given(key) && by != of {
		d.Warn(key, "means nothing but in a group with execution_strategy: %s; want that, or it left out", of)
	}
}

// Expression returns for each member of a group those that it needs, by an expression.
type Expression func(text string, group []strategy.About) (map[string][]string, error)

// Check sees to what the keys of a group's order mean for each other. path is that of the group; members are what
// Of returned of each. It returns who needs whom by the group's expression; nil where it has none, or one that is wrong.
func Check(d *schema.Decoder, path string, o Settings, members []Ordered, expression Expression) map[string][]string {
	idle(d, path+".waves", o.By, strategy.Waves)
	idle(d, path+".needs", o.By, strategy.Needs)
	checkModule(d, path, o)
	idle(d, path+".canary_check", o.By, strategy.Canary)
	if o.By == strategy.Sequential && d.Given(path+".max_parallel") {
		d.Warn(path+".max_parallel", "means nothing in a sequential group; want it left out, or execution_strategy: parallel")
	}
	if o.By == strategy.Canary && !d.Given(path+".canary_check") && !d.Failed(path+".canary_check") {
		d.Fail(path+".canary_check", "is missing; want a list of shell commands that check the first member, before the others are deployed")
	}
	var names []string
	shown := make(map[string]string)
	needs := make(map[string][]string)
	for _, m := range members {
		names = append(names, m.About.Name)
		shown[m.About.Name] = m.Shown
		needs[m.About.Name] = m.About.Needs
	}
	for _, m := range members {
		for i, need := range m.About.Needs {
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
	circle := func(needs map[string][]string) (way []string) {
		for _, name := range strategy.Cycle(names, needs) {
			way = append(way, shown[name])
		}
		return way
	}
	if o.By == strategy.Needs && o.Expression != "" {
		return byExpression(d, path+".needs", o.Expression, members, expression, circle)
	}
	if way := circle(needs); way != nil && o.Module.File == "" {
		at := members[slices.IndexFunc(members, func(m Ordered) bool { return m.Shown == way[0] })].Path
		d.Fail(at+".deploy.needs", "never begins, as it waits for itself: %s; want no such circle", strings.Join(way, " needs "))
	}
	return nil
}

// checkModule sees to what the keys of a group's module mean for each other and for the rest.
func checkModule(d *schema.Decoder, path string, o Settings) {
	module := path + ".wasm"
	for _, key := range []string{module + ".file", module + ".sha256"} {
		idle(d, key, o.By, strategy.Needs)
		if d.Given(module) && !d.Given(key) && !d.Failed(key) && !d.Failed(module) {
			d.Fail(key, "is missing; want both file and sha256, so that no other module than yours says who waits for whom")
		}
	}
	if d.Given(module) && d.Given(path+".needs") {
		d.Fail(module, "stands beside needs; want one of the two, as both say who waits for whom")
	}
}

// byExpression returns who needs whom by the expression at a path. circle finds those that wait for themselves.
func byExpression(d *schema.Decoder, path, text string, members []Ordered, expression Expression, circle func(map[string][]string) []string) map[string][]string {
	if d.Failed(path) {
		return nil
	}
	if expression == nil {
		d.Fail(path, "is an expression, and this program reads none; want a sentry that does")
		return nil
	}
	group := make([]strategy.About, len(members))
	for i, m := range members {
		group[i] = m.About
	}
	needs, err := expression(text, group)
	var pair *strategy.PairError
	if errors.As(err, &pair) {
		d.Fail(path, "cannot be worked out where member is %s and other is %s: %s", members[pair.Member].Shown, members[pair.Other].Shown, pair.What)
		return nil
	}
	if err != nil {
		d.Fail(path, "%v", err)
		return nil
	}
	if way := circle(needs); way != nil {
		d.Fail(path, "has members wait for themselves: %s; want no such circle", strings.Join(way, " needs "))
		return nil
	}
	return needs
}

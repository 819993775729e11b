package section

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/spelling"
)

const (
	// wantReceiver is what a receiver of notifications is.
	wantReceiver  = "an http(s) URL, or \"\" for nobody"
	wantOccasions = "a list of failure, recovery and every"
	wantTarget    = "an http(s) URL, in which {{run}} and the like stand for facts of a deployment"
	// maxTarget bounds a target_url as it is written, in bytes. Hosts keep some 250 characters of one.
	maxTarget = 200
)

// Report is who is told how deployments go. What is not said in it is what the group and the whole file say. By a nil one
// nobody is told.
type Report struct {
	CommitStatus *bool  // nil = not said
	TargetURL    string // where a status and a notification lead to, with placeholders; "" = nowhere
	Slack        Receiver
	Webhook      Receiver
	CloudEvents  Receiver
}

// Receiver is who is told by HTTP, and when.
type Receiver struct {
	URL  secret.Value // "" = nobody
	On   Occasions    // 0 = not said
	Said bool         // that the file says URL here, and be it ""
}

// Occasions are ends of runs of which somebody wants to hear.
type Occasions uint8

// The occasions. Recovery is the first success after a failure.
const (
	OnFailure Occasions = 1 << iota
	OnRecovery
	OnEvery
)

// byDefault is what a receiver hears of that does not say so.
const byDefault = OnFailure | OnRecovery

// occasions are the words for them, in their order.
var occasions = []string{"failure", "recovery", "every"}

// Targets are what placeholders of target_url may name.
var Targets = []string{"run", "namespace", "unit", "repository", "branch", "sha"}

// WritesStatus reports whether commits are told how their deployment goes.
func (r *Report) WritesStatus() bool { return r != nil && r.CommitStatus != nil && *r.CommitStatus }

// Any reports whether anybody is to be told of anything, where all variables are set.
func (r *Report) Any() bool {
	return r.WritesStatus() || slices.ContainsFunc(r.Receivers(), func(p *Receiver) bool { return p.URL.IsSet() })
}

// Receivers returns who is told by HTTP: a chat, a program, and one that takes CloudEvents.
func (r *Report) Receivers() []*Receiver {
	if r == nil {
		return nil
	}
	return []*Receiver{&r.Slack, &r.Webhook, &r.CloudEvents}
}

// Wants reports whether the receiver hears of the occasions.
func (r Receiver) Wants(on Occasions) bool {
	wanted := r.On
	if wanted == 0 {
		wanted = byDefault
	}
	return r.URL.Reveal() != "" && (wanted&OnEvery != 0 || wanted&on != 0)
}

// Over returns the section with what it does not say taken from base.
func (r Report) Over(base Report) Report {
	if r.CommitStatus == nil {
		r.CommitStatus = base.CommitStatus
	}
	if r.TargetURL == "" {
		r.TargetURL = base.TargetURL
	}
	theirs := base.Receivers()
	for i, own := range r.Receivers() {
		if !own.Said {
			own.URL, own.Said = theirs[i].URL, theirs[i].Said
		}
		if own.On == 0 {
			own.On = theirs[i].On
		}
	}
	return r
}

// ReportField is the section `report`.
func ReportField(r *Report) schema.Field {
	return schema.Section("report",
		maybe("commit_status", &r.CommitStatus),
		target("target_url", &r.TargetURL),
		schema.Section("slack", receiver(&r.Slack, true)...),
		schema.Section("webhook", receiver(&r.Webhook, false)...),
		schema.Section("cloudevents", receiver(&r.CloudEvents, false)...),
	)
}

// maybe is a truth value that may be left to others.
func maybe(key string, p **bool) schema.Field {
	var v bool
	f := schema.Boolean(key, &v)
	read := f.Read
	f.Read = func(d *schema.Decoder, path string, n *yaml.Node) {
		if read(d, path, n); !d.Failed(path) {
			*p = &v
		}
	}
	return f
}

// receiver is the table of who is told by HTTP. Whoever knows the URL of a chat can post there, so that one is left to a
// variable.
func receiver(r *Receiver, chat bool) []schema.Field {
	return []schema.Field{
		{Key: "url", Kind: "string", Want: wantReceiver, Hidden: true,
			Read: func(d *schema.Decoder, path string, n *yaml.Node) {
				v, ok := d.Secret(path, n, wantReceiver)
				if !ok {
					return
				}
				if v.Reveal() != "" {
					if err := checkReceiver(v); err != nil {
						d.Fail(path, "%v", err)
						return
					}
					if chat && !secret.HasReference(v.Text()) {
						d.Warn(path, "the URL, with which anybody can post there, stands in this file; want ${NAME} and the URL in the environment")
					}
				}
				r.URL, r.Said = v, true
			}},
		{Key: "on", Kind: "list", Want: wantOccasions,
			Read: func(d *schema.Decoder, path string, n *yaml.Node) {
				d.Items(path, n, wantOccasions, func(path string, n *yaml.Node) {
					v, ok := d.Value(path, n, schema.OneOf(occasions))
					i := slices.Index(occasions, v.Reveal())
					switch {
					case !ok:
					case i < 0:
						d.Mismatch(path, v.Reveal(), schema.OneOf(occasions))
					default:
						r.On |= 1 << i
					}
				})
			}},
	}
}

// checkReceiver says what is wrong with the URL of a receiver, and never repeats it. One that is empty is nobody's.
func checkReceiver(v secret.Value) error {
	if v.Reveal() == "" {
		return nil
	}
	_, err := rule.ParseURL(v.Reveal(), wantReceiver)
	return err
}

// target is a URL with placeholders.
func target(key string, p *string) schema.Field {
	return schema.Field{Key: key, Kind: "string", Want: wantTarget,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			v, ok := d.Value(path, n, wantTarget)
			if !ok {
				return
			}
			text := v.Reveal()
			for _, name := range placeholdersIn(text) {
				if slices.Contains(Targets, name) {
					continue
				}
				want := "want " + schema.OneOf(Targets)
				if near := spelling.Nearest(name, Targets); near != "" {
					want = "did you mean " + near + "?"
				}
				d.Fail(path, "names {{%.40s}}, which is nothing that is known of a run; %s", name, want)
				return
			}
			// A placeholder in the host's name would have whoever names a branch say where people are led.
			_, server, _ := strings.Cut(text, "://")
			if end := strings.IndexAny(server, "/?#"); end >= 0 {
				server = server[:end]
			}
			switch err := checkTarget(text); {
			case len(placeholdersIn(server)) > 0:
				d.Fail(path, "has a placeholder in the server's name; want it behind the / that follows")
			case len(text) > maxTarget:
				d.Fail(path, "has %d bytes; want at most %d", len(text), maxTarget)
			case err != nil:
				d.Fail(path, "%v", err)
			default:
				*p = text
			}
		}}
}

// checkTarget checks the URL that a target is with some facts in it. A fragment is fine, as dashboards keep their place there.
func checkTarget(text string) error {
	u, err := rule.ParseURL(strings.ReplaceAll(Placeholder.ReplaceAllString(text, "x"), "#", "/"), wantTarget)
	if err == nil && u.User != nil {
		return fmt.Errorf("holds a user or a password, and everybody may read it; want %s", wantTarget)
	}
	return err
}

// Target returns where the target_url leads with these facts, by their names; "" where there is none.
func (r Report) Target(escaped func(name string) string) string {
	return Placeholder.ReplaceAllStringFunc(r.TargetURL, func(text string) string {
		return escaped(strings.Trim(text, "{} "))
	})
}

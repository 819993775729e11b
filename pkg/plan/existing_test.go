package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// made returns a run of rag@main as an engine has it that the Sentry with the key made at noon.
func made(k naming.Key, n int) Existing {
	r := Run{
		Unit:    naming.Unit{Label: "rag.main", Prefix: "rag-main"},
		Trigger: Trigger{Refs: []Change{{Ref: repo.Ref{Repository: "rag", Branch: "main"}, N: n, Old: sha("a"), New: sha("b")}}, Seen: noon},
		epoch:   "e1", key: hide(k),
	}
	r.Name = r.name()
	e := r.Existing()
	e.Created = noon
	return e
}

func TestOurs(t *testing.T) {
	key := naming.Key{Secret: strings.Repeat("k", 32), Since: noon.Add(-time.Hour)}
	other := naming.Key{Secret: strings.Repeat("o", 32), Since: key.Since}
	forged := func(forge func(*Existing)) Existing {
		r := made(key, 2)
		r.Trigger.Refs = slices.Clone(r.Trigger.Refs)
		forge(&r)
		return r
	}
	before := func(r Existing) Existing {
		r.Created = key.Since.Add(-time.Second)
		return r
	}
	signedAs := func(label, repository, branch string, n int) Existing {
		r := Existing{Unit: label, Created: noon, Trigger: Trigger{Refs: []Change{{Ref: repo.Ref{Repository: repository, Branch: branch}, N: n, New: sha("b")}}, Seen: noon}}
		r.Name = "x-" + key.RunHash("e1", label, "", n)
		r.Signature = key.Sign(signedParts("e1", r.Name, label, r.Trigger)...)
		return r
	}
	named := func(k naming.Key, name string) naming.Key {
		k.Instance = name
		return k
	}
	for name, tt := range map[string]struct {
		key  naming.Key
		run  Existing
		want bool
	}{
		"of the instance":                  {named(key, "blue"), made(named(key, "blue"), 2), true},
		"of another instance":              {named(key, "blue"), made(named(key, "green"), 2), false},
		"of an instance, and we have none": {key, made(named(key, "blue"), 2), false},
		"from before we had a name":        {named(key, "blue"), made(key, 2), true},
		"of another key without a name":    {named(key, "blue"), made(other, 2), false},
	} {
		if got := tt.run.Ours(tt.key, "e1"); got != tt.want {
			t.Errorf("a run %s: Ours %v, want %v", name, got, tt.want)
		}
	}
	if a, b := made(key, 2).Name, made(named(key, "blue"), 2).Name; a == b {
		t.Errorf("two instances with the same key and state both make %s", a)
	}
	for name, tt := range map[string]struct {
		run  Existing
		want bool
	}{
		"signed":                                      {made(key, 2), true},
		"a group":                                     {signedAs("shop", "rag", "main", 2), true},
		"a group whose name is not fit":               {signedAs("shop..01234567", "rag", "main", 2), true},
		"no signature, the epoch is known":            {made(naming.Key{}, 2), false},
		"no signature, the name was seen":             {forged(func(r *Existing) { r.Signature = "" }), false},
		"another key":                                 {made(other, 2), false},
		"a signature of another run":                  {forged(func(r *Existing) { r.Signature = made(key, 3).Signature }), false},
		"a copy under another name":                   {forged(func(r *Existing) { r.Name += "-rerun" }), false},
		"another SHA":                                 {forged(func(r *Existing) { r.Trigger.Refs[0].New = sha("c") }), false},
		"another old SHA":                             {forged(func(r *Existing) { r.Trigger.Refs[0].Old = sha("c") }), false},
		"another ref":                                 {forged(func(r *Existing) { r.Trigger.Refs[0].Repository = "other" }), false},
		"one ref more":                                {forged(func(r *Existing) { r.Trigger.Refs = append(r.Trigger.Refs, r.Trigger.Refs[0]) }), false},
		"another unit":                                {forged(func(r *Existing) { r.Unit = "rag.dev" }), false},
		"another number":                              {forged(func(r *Existing) { r.Trigger.Refs[0].N = 900_000_000 }), false},
		"asked for by hand":                           {forged(func(r *Existing) { r.Trigger.Manual = "w" }), false},
		"from before the key":                         {before(made(naming.Key{}, 2)), true},
		"from before the key, of another unit":        {before(forged(func(r *Existing) { r.Unit, r.Signature = "rag.dev", "" })), false},
		"from before the key, with a wrong signature": {before(forged(func(r *Existing) { r.Signature = "0" })), false},
		"signed, and the ref is not the unit's":       {signedAs("rag.main", "web", "main", 2), false},
		"signed, and the branch is not the unit's":    {signedAs("rag.main", "rag", "dev", 2), false},
		"seen when no date can be written":            {forged(func(r *Existing) { r.Trigger.Seen = time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -8*3600)) }), false},
	} {
		if got := tt.run.Ours(key, "e1"); got != tt.want {
			t.Errorf("%s: Ours = %t, want %t: %+v", name, got, tt.want, tt.run)
		}
	}
	replaced := naming.Key{Secret: key.Secret, Since: noon.Add(time.Hour)} // a new key, and a run from before it
	if r := made(naming.Key{}, 2); !r.Ours(replaced, "e1") {
		t.Error("a run of an older Sentry is not ours")
	}
	unsigned := signedAs("rag.main", "rag", "main", 2)
	unsigned.Name, unsigned.Signature = "rag-main-"+naming.Key{}.RunHash(key.Epoch("e1"), "rag.main", "", 2), ""
	if unsigned.Ours(replaced, key.Epoch("e1")) {
		t.Error("a run that is not signed is ours in a state that was made beside a key")
	}
	if made(key, 2).Ours(key, "e2") {
		t.Error("a run from before the state was deleted is ours")
	}
}

// Two attempts at the same run see the change at different times.
func TestSignatureOfASecondAttempt(t *testing.T) {
	first, second := made(naming.Key{Secret: "k"}, 2), made(naming.Key{Secret: "k"}, 2)
	second.Trigger.Seen = noon.Add(time.Hour)
	if !second.Ours(naming.Key{Secret: "k"}, "e1") || first.Signature != second.Signature {
		t.Errorf("signatures %q and %q, want the same", first.Signature, second.Signature)
	}
}

func TestKeyIsNotPrinted(t *testing.T) {
	k := naming.Key{Secret: "hunter2"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(verb, Input{Key: k}) + fmt.Sprintf(verb, newRun(Input{Config: &config.Config{}, Key: k}, naming.Unit{}, Trigger{Refs: []Change{{}}}, nil, nil)); strings.Contains(got, "hunter2") {
			t.Errorf("%s prints the key: %s", verb, got)
		}
	}
}

package naming

import (
	"fmt"
	"strings"
	"testing"
)

func TestKeyIsNotPrinted(t *testing.T) {
	k := Key{Secret: "hunter2"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(verb, k) + fmt.Sprintf(verb, &k) + fmt.Sprintf(verb, struct{ Key Key }{k}); strings.Contains(got, "hunter2") {
			t.Errorf("%s prints the key: %s", verb, got)
		}
	}
}

// A run's name and signature are known to nobody who lacks the key, differ by the instance, and by where one part
// ends and the next begins.
func TestKey(t *testing.T) {
	key := Key{Secret: strings.Repeat("k", 32)}
	blue, green, other := key, key, Key{Secret: strings.Repeat("o", 32)}
	blue.Instance, green.Instance = "blue", "green"
	names, signatures := map[string]Key{}, map[string]Key{}
	for _, k := range []Key{{}, key, blue, green, other} {
		name, signature := k.RunHash("e", "rag.main", "", 7), k.Sign("a", "bc")
		if was, taken := names[name]; taken || len(name) != 10 {
			t.Errorf("%#v of instance %q names a run %q, and another key of instance %q the same, or it is not of ten digits", k, k.Instance, name, was.Instance)
		}
		if was, taken := signatures[signature]; taken || (len(signature) == 64) == (k.Secret == "") {
			t.Errorf("%#v of instance %q signs as %q, and another key of instance %q the same, or it is not of 64 digits", k, k.Instance, signature, was.Instance)
		}
		names[name], signatures[signature] = k, k
	}
	for name, tt := range map[string]struct {
		key       Key
		signature string
		want      bool
	}{
		"its own":                          {key, key.Sign("a", "bc"), true},
		"of other parts":                   {key, key.Sign("ab", "c"), false},
		"of one part more":                 {key, key.Sign("a", "bc", ""), false},
		"of another key":                   {key, other.Sign("a", "bc"), false},
		"none":                             {key, "", false},
		"none, and there is no key":        {Key{}, "", false},
		"of the instance":                  {blue, blue.Sign("a", "bc"), true},
		"of another instance":              {blue, green.Sign("a", "bc"), false},
		"from before there was a name":     {blue, key.Sign("a", "bc"), true},
		"of an instance, and we have none": {key, blue.Sign("a", "bc"), false},
	} {
		if got := tt.key.Signed(tt.signature, "a", "bc"); got != tt.want {
			t.Errorf("a signature %s: Signed %t, want %t", name, got, tt.want)
		}
	}
}

func TestEpoch(t *testing.T) {
	if epoch := (Key{}).Epoch("0a"); epoch != "0a" || Keyed(epoch) {
		t.Errorf("without a key the epoch is %q, keyed: %t; want the word", epoch, Keyed(epoch))
	}
	if epoch := (Key{Secret: "k"}).Epoch("0a"); epoch == "0a" || !Keyed(epoch) {
		t.Errorf("beside a key the epoch is %q, keyed: %t; want one that says so", epoch, Keyed(epoch))
	}
}

package secret

import "testing"

func TestExpand(t *testing.T) {
	environment := map[string]string{"NINETY": "90", "EMPTY": "", "TWICE": "${GITHUB_TOKEN}", "GITHUB_TOKEN": "gh-s3cr3t"}
	lookup := func(name string) (string, bool) { v, ok := environment[name]; return v, ok }
	for _, c := range []struct{ in, want, unset, err string }{
		{in: "plain $HOME $$ $(x) {}", want: "plain $HOME $$ $(x) {}"},
		{in: "${NINETY}", want: "90"},
		{in: "a${NINETY}b${NINETY}", want: "a90b90"},
		{in: "${MISSING:-x y}", want: "x y"},
		{in: "${EMPTY:-x}", want: "x"},
		{in: "${EMPTY}", want: ""},
		{in: "${NINETY:-x}", want: "90"},
		{in: "${MISSING:-}", want: ""},
		{in: "$${NINETY}", want: "${NINETY}"},
		{in: "$$${NINETY}", want: "$${NINETY}"},
		{in: "${TWICE}", want: "${GITHUB_TOKEN}"},
		{in: "a${MISSING}${NINETY}", want: "a90", unset: "MISSING"},
		{in: "${", err: ErrReference.Error()},
		{in: "${}", err: ErrReference.Error()},
		{in: "${A B}", err: ErrReference.Error()},
		{in: "${A-b}", err: ErrReference.Error()},
		{in: "${A:-${NINETY}}", err: ErrReference.Error()},
	} {
		got, unset, err := Expand(c.in, lookup)
		if got != c.want || len(unset) > 0 && unset[0] != c.unset || (len(unset) > 0) != (c.unset != "") || (err != nil) != (c.err != "") {
			t.Errorf("Expand(%q) = %q, unset %q, %v; want %q, unset %q, error %q", c.in, got, unset, err, c.want, c.unset, c.err)
		}
	}
}

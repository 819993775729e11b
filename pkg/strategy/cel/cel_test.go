package cel

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// shop is a group of six.
var shop = []strategy.About{
	{Name: "orders-db", Project: "orders", Wave: 1, Labels: map[string]string{"tier": "db"}},
	{Name: "users-db", Project: "users", Wave: 1, Labels: map[string]string{"tier": "db"}},
	{Name: "orders", Project: "orders", Wave: 2, Needs: []string{"users"}},
	{Name: "users", Project: "users", Wave: 2},
	{Name: "mail", Project: "mail", Wave: 2},
	{Name: "web", Project: "web", Wave: 3, Needs: []string{"orders", "users"}},
}

func TestNeeds(t *testing.T) {
	for text, want := range map[string]string{
		// all of a project before a member, and before another project
		`member.name == "web" && other.project == "users"`:           "web[users-db users]",
		`member.project == "orders" && other.project == "users"`:     "orders-db[users-db users] orders[users-db users]",
		`other.name.endsWith("-db") && !member.name.endsWith("-db")`: "orders[orders-db users-db] users[orders-db users-db] mail[orders-db users-db] web[orders-db users-db]",
		`member.name + "-db" == other.name`:                          "orders[orders-db] users[users-db]",
		// two at a time, and every third behind the one before
		`other.index / 2 < member.index / 2`: "orders[orders-db users-db] users[orders-db users-db] mail[orders-db users-db orders users] web[orders-db users-db orders users]",
		`other.index + 3 == member.index`:    "users[orders-db] mail[users-db] web[orders]",
		// what the members say themselves
		`other.name in member.needs`:                                                 "orders[users] web[orders users]",
		`other.wave < member.wave && !("tier" in other.labels)`:                      "web[orders users mail]",
		`"tier" in other.labels && other.labels["tier"] == "db" && member.wave == 3`: "web[orders-db users-db]",
		// a look at all
		`other.index == members.size() - 1 - member.index && other.index < member.index`:    "users[orders] mail[users-db] web[orders-db]",
		`members.all(m, m == member || m.wave <= member.wave) && member != other`:           "web[orders-db users-db orders users mail]",
		`members.filter(m, m.project == member.project).size() == 1 && other == members[0]`: "mail[orders-db] web[orders-db]",
		`false`: "",
	} {
		needs, err := Needs(text, shop)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, m := range shop {
			if len(needs[m.Name]) > 0 {
				got = append(got, m.Name+fmt.Sprint(needs[m.Name]))
			}
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

// What is wrong with an expression is found before anything runs, with its place.
func TestWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "is wrong at column 1: Syntax error",
		"other.nmae == 'x'":         "is wrong at column 6: undefined field 'nmae'",
		"true &&\n  othr.wave == 1": "is wrong at line 2, column 3: undeclared reference to 'othr'",
		"other.wave == 'x'":         "is wrong at column 12: found no matching overload",
		"members.map(m, m.name)":    "gives list(string); want true or false",
		`other.name.matches("(")`:   "is wrong at column 20: invalid matches argument",
		"now() > timestamp(0)":      "is wrong at column 4: undeclared reference to 'now'",
		strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200):       "is wrong at column",
		strings.Repeat("!", 5000) + "true":                                 "has 5004 bytes; want at most 4096",
		"other.labels['tier'] == 'db'":                                     "cannot be worked out where member 1 of the group may need 3: no such key",
		"1 / (other.index - 2) == 0":                                       "cannot be worked out where member 1 of the group may need 3: division by zero",
		"members[6] == other":                                              "cannot be worked out where member 1 of the group may need 2: index out of bounds",
		"members.all(a, members.all(b, members.all(c, a.name == b.name)))": "may cost ",
		"members.all(a, members.all(b, a != b || b == other))":             "may cost ",
	} {
		if _, err := Needs(text, shop); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80s:\n got %v\nwant %s", text, err, want)
		}
	}
	if _, err := Needs("true", nil); err != nil {
		t.Errorf("without members, %v", err)
	}
	if _, err := Needs("othr", nil); err == nil {
		t.Error("what is wrong is found in a group with members alone")
	}
}

// No message repeats what a member says of itself, as that may be what a variable holds.
func TestNothingIsRepeated(t *testing.T) {
	group := []strategy.About{{Name: "a", Project: "c4nary("}, {Name: "b", Labels: map[string]string{"c4nary": "c4nary"}}}
	for _, text := range []string{
		`other.name.matches(member.project)`, `other.labels[member.project] == ""`, `int(member.project) == 1`, `duration(member.project) > duration("1s")`,
		`timestamp(member.project) > timestamp(0)`, `member.labels.map(k, int(k)).size() > 0`,
	} {
		if _, err := Needs(text, group); err == nil || strings.Contains(err.Error(), "c4nary") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The same expression gives the same answer each time, also where it goes through what has no order in Go.
func TestTheSameEachTime(t *testing.T) {
	labels := make(map[string]string)
	for i := range 20 {
		labels[fmt.Sprintf("key-%02d", i)] = "x"
	}
	group := []strategy.About{{Name: "a", Labels: labels}, {Name: "b", Labels: labels}}
	for range 20 {
		needs, err := Needs(`member.labels.map(k, k)[0] == "key-00" && other.labels.map(k, k)[19] == "key-19" && other.index == 0`, group)
		if err != nil || fmt.Sprint(needs) != "map[a:[] b:[a]]" {
			t.Fatalf("got %v, %v, want b behind a each time", needs, err)
		}
	}
}

// The largest group takes a second at most, whatever its expression looks at.
func TestLargestGroup(t *testing.T) {
	var group []strategy.About
	for i := range 150 {
		group = append(group, strategy.About{Name: fmt.Sprintf("member-%d", i), Project: strings.Repeat("x", 63), Wave: i})
	}
	began := time.Now()
	needs, err := Needs("other.index / 10 < member.index / 10", group)
	if err != nil || len(needs["member-149"]) != 140 {
		t.Errorf("%v, %d", err, len(needs["member-149"]))
	}
	t.Logf("a comparison took %v", time.Since(began))
	for _, text := range []string{
		"members.all(m, m.index >= 0 && m.index < 1000 && m.project == other.project)",
		"members.map(m, m.name + m.project + other.project).size() == 150",
	} {
		began = time.Now()
		_, err := Needs(text, group)
		if err == nil || !strings.HasPrefix(err.Error(), "costs more than") {
			t.Errorf("%s: %v", text, err)
		}
		t.Logf("%s took %v", text, time.Since(began))
	}
}

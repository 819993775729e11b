package discover

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/githost"
)

// owned makes a list of "ID PATH [archived|gone]…", a line each.
func owned(lines ...string) []githost.OwnedRepository {
	var list []githost.OwnedRepository
	for _, line := range lines {
		words := strings.Fields(line)
		list = append(list, githost.OwnedRepository{ID: words[0], Path: words[1], DefaultBranch: "main", Archived: len(words) > 2})
	}
	return list
}

func watched(r discover.Repository) bool { return !r.Archived }

var team = discover.Question{Host: "https://git.example", Owner: "team"}

// taking is how lists are taken that come every ten minutes, the first at a time of Unix.
func taking(list int, most int) Taking {
	return Taking{Wanted: watched, At: time.Unix(1_000_000, 0).Add(time.Duration(list) * 10 * time.Minute), Every: 10 * time.Minute, Most: cmp.Or(most, discover.Most)}
}

// begin is what is known after a first list.
func begin(lines ...string) discover.List {
	list, _ := Take(discover.List{Question: team}, team, owned(lines...), taking(0, 0))
	return list
}

func TestTake(t *testing.T) {
	day := make([][]string, 144) // of lists that are the same
	for i := range day {
		day[i] = []string{"3 team/c"}
	}
	for name, c := range map[string]struct {
		known []string
		lists [][]string // one after the other
		most  int
		want  []string // "ID NAME PATH", after the last
		news  News     // of the last
	}{
		"first": {lists: [][]string{{"1 team/web", "2 team/api"}}, want: []string{"1 web team/web", "2 api team/api"}, news: News{Came: []string{"team/web", "team/api"}}},
		"nothing changes": {known: []string{"1 team/web", "2 team/api"}, lists: [][]string{{"1 team/web", "2 team/api"}},
			want: []string{"1 web team/web", "2 api team/api"}},
		"one comes, and those that are known stay first": {known: []string{"5 team/web"}, lists: [][]string{{"1 team/api", "5 team/web"}},
			want: []string{"5 web team/web", "1 api team/api"}, news: News{Came: []string{"team/api"}}},
		"one is lacked": {known: []string{"1 team/web", "2 team/api"}, lists: [][]string{{"1 team/web"}},
			want: []string{"1 web team/web", "2 api team/api"}, news: News{Lacks: []string{"team/api"}}},
		"one is lacked twice": {known: []string{"1 team/web", "2 team/api"}, lists: [][]string{{"1 team/web"}, {"1 team/web"}},
			want: []string{"1 web team/web"}, news: News{Went: []string{"team/api"}}},
		"one is lacked twice, with one list between that has it": {known: []string{"1 team/web", "2 team/api"}, lists: [][]string{{"1 team/web"}, {"1 team/web", "2 team/api"}, {"1 team/web"}},
			want: []string{"1 web team/web", "2 api team/api"}, news: News{Lacks: []string{"team/api"}}},
		"one is archived, and stays so": {known: []string{"1 team/web", "2 team/api"}, lists: [][]string{{"1 team/web", "2 team/api x"}, {"1 team/web", "2 team/api x"}},
			want: []string{"1 web team/web", "2 api team/api"}},
		"a renamed one keeps its name": {known: []string{"1 team/web", "2 team/api"}, lists: [][]string{{"1 team/site", "2 team/api"}},
			want: []string{"1 web team/site", "2 api team/api"}, news: News{Moved: []string{"team/web -> team/site"}}},
		"also as one that Sentry has no name for": {known: []string{"1 team/web", "2 team/api"}, lists: [][]string{{"1 team/_", "2 team/api"}},
			want: []string{"1 web team/_", "2 api team/api"}, news: News{Moved: []string{"team/web -> team/_"}}},
		"and keeps it from one that comes": {known: []string{"1 team/web"}, lists: [][]string{{"1 team/site", "2 team/web"}},
			want: []string{"1 web team/site", "2 web team/web"}, news: News{Came: []string{"team/web"}, Moved: []string{"team/web -> team/site"}}},
		"one that is made anew is another one": {known: []string{"1 team/web", "2 team/api"}, lists: [][]string{{"2 team/api", "3 team/WEB"}},
			want: []string{"2 api team/api", "3 web team/WEB"}, news: News{Came: []string{"team/WEB"}, Went: []string{"team/web"}}},
		"an empty list": {known: []string{"1 team/web"}, lists: [][]string{{}, {}, {}}, want: []string{"1 web team/web"}, news: News{Held: "it is empty"}},
		"more than half are lacked": {known: []string{"1 team/a", "2 team/b", "3 team/c"}, lists: [][]string{{"3 team/c", "4 team/d"}},
			want: []string{"1 a team/a", "2 b team/b", "3 c team/c", "4 d team/d"}, news: News{Came: []string{"team/d"}, Lacks: []string{"team/a", "team/b"}, Many: true}},
		"for a day but a list": {known: []string{"1 team/a", "2 team/b", "3 team/c"}, lists: day,
			want: []string{"1 a team/a", "2 b team/b", "3 c team/c"}, news: News{Many: true}},
		"for a day": {known: []string{"1 team/a", "2 team/b", "3 team/c"}, lists: append(slices.Clone(day), []string{"3 team/c"}),
			want: []string{"3 c team/c"}, news: News{Went: []string{"team/a", "team/b"}, Many: true}},
		"more than half are lacked, and come again one after the other": {known: []string{"1 team/a", "2 team/b", "3 team/c"},
			lists: [][]string{{"3 team/c"}, {"3 team/c"}, {"3 team/c", "2 team/b"}, {"3 team/c", "2 team/b"}},
			want:  []string{"1 a team/a", "2 b team/b", "3 c team/c"}},
		"more than half are archived": {known: []string{"1 team/a", "2 team/b", "3 team/c"}, lists: [][]string{{"1 team/a x", "2 team/b x", "3 team/c"}, {"1 team/a x", "2 team/b x", "3 team/c"}},
			want: []string{"1 a team/a", "2 b team/b", "3 c team/c"}, news: News{Many: true}},
		"what is not watched may go": {known: []string{"1 team/a x", "2 team/b x", "3 team/c"}, lists: [][]string{{"3 team/c"}}, want: []string{"3 c team/c"}, news: News{Went: []string{"team/a", "team/b"}}},
		"no more than most":          {known: []string{"9 team/web"}, lists: [][]string{{"1 team/a", "2 team/b", "9 team/web"}}, most: 2, want: []string{"9 web team/web", "1 a team/a"}, news: News{Came: []string{"team/a"}}},
		"what has no name, no end, or no ID": {lists: [][]string{{"1 team/___", "2 team/" + strings.Repeat("a", 1020), "3 team/\xff", "4 team/web"}},
			want: []string{"4 web team/web"}, news: News{Came: []string{"team/web"}}},
		"one that is known gets a name without an end": {known: []string{"1 team/web", "2 team/api"}, lists: [][]string{{"1 team/" + strings.Repeat("a", 1020), "2 team/\xff"}, {"1 team/" + strings.Repeat("a", 1020), "2 team/\xff"}},
			want: []string{"1 web team/web", "2 api team/api"}},
		"names are labels that follow from the path": {lists: [][]string{{"1 team/sub/Web_App.git", "2 other/x", "3 TEAM/Y"}}, want: []string{"1 sub-web-app-git team/sub/Web_App.git", "2 x other/x", "3 y TEAM/Y"}, news: News{Came: []string{"team/sub/Web_App.git", "other/x", "TEAM/Y"}}},
	} {
		t.Run(name, func(t *testing.T) {
			list, news := begin(c.known...), News{}
			for i, got := range c.lists {
				list, news = Take(list, team, owned(got...), taking(1+i, c.most))
				// Another process may have the next one.
				found, err := Decode(encoded(t, list))
				if err != nil {
					t.Fatal(err)
				}
				list = found.Lists[0]
			}
			var got []string
			for _, r := range list.Repositories {
				got = append(got, fmt.Sprintf("%s %s %s", r.ID, r.Name, r.Path))
			}
			if !reflect.DeepEqual(got, c.want) || !reflect.DeepEqual(news, c.news) {
				t.Errorf("known is %q, and the news %+v\nwant %q, and %+v", got, news, c.want, c.news)
			}
		})
	}
}

func encoded(t *testing.T, lists ...discover.List) []byte {
	t.Helper()
	data, err := Encode(Of(lists, nil, 1, ""))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Lists that come one after the other in a moment say no more than one of them, also where the clock is set back meanwhile.
func TestListsInAMoment(t *testing.T) {
	list := begin("1 team/web", "2 team/api")
	for _, after := range []time.Duration{0, 0, time.Second, 4 * time.Minute, -10 * time.Second, 4 * time.Minute} {
		how := taking(1, 0)
		how.At = how.At.Add(after)
		list, _ = Take(list, team, owned("1 team/web"), how)
	}
	if len(list.Repositories) != 2 {
		t.Errorf("there are %+v", list.Repositories)
	}
}

// Who comes is behind all that are there, also where the clock is set back, or two come in one second: the first one has a name.
func TestNewcomersAreLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsking(t, &stored{})
		a.has(teamB, "1 team/web")
		a.Apply(asksOf("", teamA, teamB), ask)
		a.Once(t.Context())
		before := a.Found().Lists[0].Repositories[0].Since
		a.has(teamA, "1 team/web")
		for range 2 {
			a.Once(t.Context()) // in the same moment
			if since := a.Found().Lists[0].Repositories[0].Since; a.known() != "team/web team/web" || since != before+1 {
				t.Errorf("known is %q, the first one since %d, want %d", a.known(), since, before+1)
			}
		}
		how := taking(1, 0)
		how.Last = how.At.Unix() + 1000
		if list, _ := Take(discover.List{}, team, owned("1 team/web"), how); list.Repositories[0].Since <= how.Last {
			t.Errorf("it is there since %d, and another one since %d", list.Repositories[0].Since, how.Last)
		}
	})
}

// Whoever asks for another file means it: what does not have that one goes at once, and what is not there any more is lacked as ever.
func TestAnotherFile(t *testing.T) {
	known := begin("1 team/web", "2 team/api", "3 team/gone")
	for i := range known.Repositories {
		known.Repositories[i].File = true
	}
	asked := team
	asked.File = ".sentry.yaml"
	how := taking(1, 0)
	how.Wanted = func(r discover.Repository) bool { return r.File }
	got := owned("1 team/web", "2 team/api")
	got[0].File = []byte("")
	list, news := Take(known, asked, got, how)
	var wanted []string
	for _, r := range list.Repositories {
		if r.File {
			wanted = append(wanted, r.Path)
		}
	}
	if want := []string{"team/web", "team/gone"}; !slices.Equal(wanted, want) || !slices.Equal(news.Lacks, []string{"team/gone"}) || list.Question != asked {
		t.Errorf("watched are %q, and the news %+v, want %q", wanted, news, want)
	}
}

// What is kept of a repository is bounded, whatever it is called and is about.
func TestWhatIsKept(t *testing.T) {
	topics := make([]string, 5000)
	for i := range topics {
		topics[i] = fmt.Sprintf("topic-%d-%s", i, strings.Repeat("x", i%90))
	}
	long := "team/" + strings.Repeat("a", 1019) // as long as hosts' lists allow
	list, _ := Take(discover.List{}, team, []githost.OwnedRepository{
		{ID: "1", Path: long, DefaultBranch: strings.Repeat("b", 1024), Topics: topics}, {ID: "2", Path: "team/web", Topics: []string{strings.Repeat("x", 5000)}},
	}, taking(0, 0))
	if len(list.Repositories) != 2 || list.Repositories[0].Path != long || len(list.Repositories[0].Name) > 40 {
		t.Fatalf("there are %+v", list.Repositories)
	}
	if kept := list.Repositories[0].Topics; len(kept) < 20 || len(kept) > 100 || len(strings.Join(kept, "")) > 2048 || !slices.Equal(kept, topics[:len(kept)]) {
		t.Errorf("%d topics are kept, of %d bytes", len(kept), len(strings.Join(kept, "")))
	}
	if found, err := Decode(encoded(t, list)); err != nil || !reflect.DeepEqual(found.Lists[0], list) {
		t.Errorf("it does not read as it was written: %v", err)
	}
}

// What is kept reads as it was written, and what nobody wrote is an error.
func TestCodec(t *testing.T) {
	var lists []discover.List
	for o := range 4 {
		list := discover.List{Question: discover.Question{Host: "https://git.example", Owner: fmt.Sprint("team-", o), File: ".sentry.yaml"}}
		for i := range 5000 {
			path := fmt.Sprintf("team-%d/service-%x", o, 7919*i)
			list.Repositories = append(list.Repositories, discover.Repository{
				ID: fmt.Sprint(700_000_000 + 104729*(i+5000*o)), Name: discover.NameOf(list.Owner, path), Path: path, Branch: "main", Topics: []string{"deploy"},
			})
		}
		lists = append(lists, list)
	}
	known := Of(lists, []discover.Failure{{Question: team, Kind: "denied", Why: "no", Since: 5}}, 7, "abc")
	data, err := Encode(known)
	if err != nil {
		t.Fatalf("20,000 repositories are too many: %v", err)
	}
	t.Logf("20,000 repositories take %d KiB", len(data)>>10)
	found, err := Decode(data)
	if err != nil || !reflect.DeepEqual(found, known) {
		t.Errorf("it reads otherwise than it was written, or not: %v", err)
	}
	for name, lists := range map[string][]discover.List{
		"no name": {{Repositories: []discover.Repository{{ID: "1"}}}},
		"no end":  {{Repositories: []discover.Repository{{ID: "1", Name: "a", Path: strings.Repeat("a", 5000)}}}},
		"no time": {{Repositories: []discover.Repository{{ID: "1", Name: "a", Path: "a", Since: math.MaxInt64}}}},
	} {
		if _, err := Decode(encoded(t, lists...)); err == nil {
			t.Errorf("%s: it is read", name)
		}
	}
	for _, number := range []int64{-1, math.MaxInt64} {
		if data, _ := Encode(Of(nil, nil, number, "")); data != nil {
			if _, err := Decode(data); err == nil {
				t.Errorf("the number %d is read", number)
			}
		}
	}
	a := newAsking(t, &stored{})
	if a.Behind(math.MaxInt64); a.Late() {
		t.Error("a number that no Sentry wrote is waited for")
	}
	if _, err := Encode(&discover.Found{Lists: []discover.List{{Repositories: make([]discover.Repository, discover.Most+1)}}}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than are read are written: %v", err)
	}
	for _, cut := range [][]byte{nil, data[:len(data)/2], []byte("{}")} {
		if _, err := Decode(cut); err == nil {
			t.Errorf("%d bytes are read", len(cut))
		}
	}
}

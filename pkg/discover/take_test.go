package discover

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

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

// begin is what is known after a first list.
func begin(lines ...string) discover.List {
	list, _ := Take(discover.List{Question: discover.Question{Host: "https://git.example", Owner: "team"}}, owned(lines...), watched, nil, discover.Most)
	return list
}

func TestTake(t *testing.T) {
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
		"one goes": {known: []string{"1 team/web", "2 team/api"}, lists: [][]string{{"1 team/web"}},
			want: []string{"1 web team/web"}, news: News{Went: []string{"team/api"}}},
		"a renamed one keeps its name": {known: []string{"1 team/web", "2 team/api"}, lists: [][]string{{"1 team/site", "2 team/api"}},
			want: []string{"1 web team/site", "2 api team/api"}, news: News{Moved: []string{"team/web -> team/site"}}},
		"and keeps it from one that comes": {known: []string{"1 team/web"}, lists: [][]string{{"1 team/site", "2 team/web"}},
			want: []string{"1 web team/site", "2 web team/web"}, news: News{Came: []string{"team/web"}, Moved: []string{"team/web -> team/site"}}},
		"one that is made anew waits until the other is forgotten": {known: []string{"1 team/web", "2 team/api"}, lists: [][]string{{"2 team/api", "3 team/web"}},
			want: []string{"2 api team/api"}, news: News{Went: []string{"team/web"}}},
		"and comes then": {known: []string{"1 team/web", "2 team/api"}, lists: [][]string{{"2 team/api", "3 team/web"}, {"2 team/api", "3 team/web"}},
			want: []string{"2 api team/api", "3 web team/web"}, news: News{Came: []string{"team/web"}}},
		"an empty list": {known: []string{"1 team/web"}, lists: [][]string{{}, {}, {}}, want: []string{"1 web team/web"}, news: News{Held: "it is empty"}},
		"more than half go": {known: []string{"1 team/a", "2 team/b", "3 team/c"}, lists: [][]string{{"3 team/c", "4 team/d"}},
			want: []string{"1 a team/a", "2 b team/b", "3 c team/c"},
			news: News{Held: "it lacks more than half of what is watched; the next one decides", Missing: map[string]bool{"1": true, "2": true}}},
		"more than half are gone still": {known: []string{"1 team/a", "2 team/b", "3 team/c"}, lists: [][]string{{"3 team/c"}, {"3 team/c", "4 team/d"}},
			want: []string{"3 c team/c", "4 d team/d"}, news: News{Came: []string{"team/d"}, Went: []string{"team/a", "team/b"}}},
		"others than before are gone": {known: []string{"1 team/a", "2 team/b", "3 team/c"}, lists: [][]string{{"3 team/c"}, {"1 team/a"}},
			want: []string{"1 a team/a", "2 b team/b", "3 c team/c"},
			news: News{Held: "it lacks more than half of what is watched; the next one decides", Missing: map[string]bool{"2": true, "3": true}}},
		"more than half are archived": {known: []string{"1 team/a", "2 team/b", "3 team/c"}, lists: [][]string{{"1 team/a x", "2 team/b x", "3 team/c"}},
			want: []string{"1 a team/a", "2 b team/b", "3 c team/c"},
			news: News{Held: "it lacks more than half of what is watched; the next one decides", Missing: map[string]bool{"1": true, "2": true}}},
		"what is not watched may go":                 {known: []string{"1 team/a x", "2 team/b x", "3 team/c"}, lists: [][]string{{"3 team/c"}}, want: []string{"3 c team/c"}, news: News{Went: []string{"team/a", "team/b"}}},
		"no more than most":                          {known: []string{"9 team/web"}, lists: [][]string{{"1 team/a", "2 team/b", "9 team/web"}}, most: 2, want: []string{"9 web team/web", "1 a team/a"}, news: News{Came: []string{"team/a"}}},
		"what has no name, no end, or no ID":         {lists: [][]string{{"1 team/___", "2 team/" + strings.Repeat("a", 2000), "3 team/\xff", "4 team/web"}}, want: []string{"4 web team/web"}, news: News{Came: []string{"team/web"}}},
		"names are labels that follow from the path": {lists: [][]string{{"1 team/sub/Web_App.git", "2 other/x", "3 TEAM/Y"}}, want: []string{"1 sub-web-app-git team/sub/Web_App.git", "2 x other/x", "3 y TEAM/Y"}, news: News{Came: []string{"team/sub/Web_App.git", "other/x", "TEAM/Y"}}},
	} {
		t.Run(name, func(t *testing.T) {
			list, news := begin(c.known...), News{}
			most := c.most
			if most == 0 {
				most = discover.Most
			}
			for _, got := range c.lists {
				list, news = Take(list, owned(got...), watched, news.Missing, most)
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
	data, err := Encode(lists)
	if err != nil {
		t.Fatalf("20,000 repositories are too many: %v", err)
	}
	t.Logf("20,000 repositories take %d KiB", len(data)>>10)
	found, err := Decode(data)
	if err != nil || !reflect.DeepEqual(found.Lists, lists) || found.Hash != Of(lists).Hash {
		t.Errorf("it reads otherwise than it was written, or not: %v", err)
	}
	for name, lists := range map[string][]discover.List{
		"no name": {{Repositories: []discover.Repository{{ID: "1"}}}},
		"no end":  {{Repositories: []discover.Repository{{ID: "1", Name: "a", Path: strings.Repeat("a", 5000)}}}},
	} {
		data, err := Encode(lists)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(data); err == nil {
			t.Errorf("%s: it is read", name)
		}
	}
	if _, err := Encode([]discover.List{{Repositories: make([]discover.Repository, discover.Most+1)}}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than are read are written: %v", err)
	}
	for _, cut := range [][]byte{nil, data[:len(data)/2], []byte("{}")} {
		if _, err := Decode(cut); err == nil {
			t.Errorf("%d bytes are read", len(cut))
		}
	}
}

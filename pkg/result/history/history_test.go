package history_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/result/history"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// ran returns the nth run of the unit, with so many deployments that failed.
func ran(unit string, n, members int) result.Result {
	r := result.Result{Name: fmt.Sprintf("%s-%05d", unit, n), Unit: unit, Created: epoch.Add(time.Duration(n) * time.Minute), Verdict: result.Failed, Reason: "Failed"}
	for i := range members {
		r.Members = append(r.Members, result.Member{
			Task: fmt.Sprintf("task-%03d", i), Verdict: result.Failed, Why: "exited with code 1",
			Output: slices.Repeat([]string{strings.Repeat("x", 200)}, 10),
		})
	}
	return r
}

func written(t *testing.T, runs []result.Result) (text []byte, read []result.Result) {
	t.Helper()
	text, err := history.Encode(runs)
	if err != nil {
		t.Fatal(err)
	}
	if read, err = history.Decode(text); err != nil {
		t.Fatal(err)
	}
	return text, read
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	runs := []result.Result{ran("a", 1, 0), ran("a", 2, 3)}
	if _, read := written(t, runs); !reflect.DeepEqual(read, runs) {
		t.Errorf("read\n%+v, want\n%+v", read, runs)
	}
	if read, err := history.Decode(nil); err != nil || len(read) > 0 {
		t.Errorf("of nothing: %v, %v", read, err)
	}
}

// A Sentry before there were verdicts wrote the names of what failed, and reads them still.
func TestOlder(t *testing.T) {
	old := `{"version":1,"runs":[{"name":"r","unit":"u","created":"2026-01-02T03:04:05Z","seconds":7,"reason":"Failed",` +
		`"refs":[{"repository":"web","branch":"main","sha":"` + strings.Repeat("a", 40) + `"}],"failed":["web"],"more":2}]}`
	runs, err := history.Decode([]byte(old))
	if err != nil || len(runs) != 1 || runs[0].Verdict != "" || runs[0].Seconds != 7 || runs[0].Refs[0].Branch != "main" || !slices.Equal(runs[0].Tasks(result.Failed), []string{"web"}) {
		t.Fatalf("read %+v, %v", runs, err)
	}
	if text, _ := written(t, runs); !strings.Contains(string(text), `"failed":["web"]`) {
		t.Errorf("an older Sentry does not see what failed:\n%s", text)
	}
	better := runs[0]
	better.Verdict, better.Why = result.Failed, "exited with code 1"
	if got := history.Add(runs, []result.Result{better}); len(got) != 1 || got[0].Why != better.Why {
		t.Errorf("what is known better is not taken: %+v", got)
	}
	worse := better
	worse.Why = ""
	if got := history.Add([]result.Result{better}, []result.Result{worse}); len(got) != 1 || got[0].Why != better.Why {
		t.Errorf("what was known is lost: %+v", got)
	}
	later := better
	later.Created = later.Created.Add(time.Hour)
	if got := history.Add([]result.Result{better}, []result.Result{later}); len(got) != 2 {
		t.Errorf("a name that came again is the same run: %+v", got)
	}
	if _, err := history.Decode([]byte(`{"version":2}`)); err == nil || !strings.Contains(err.Error(), "newer Sentry") {
		t.Errorf("of a newer Sentry: %v", err)
	}
}

func TestBounds(t *testing.T) {
	var runs []result.Result
	for i := range 5000 {
		runs = append(runs, ran(fmt.Sprintf("unit-%02d", i%20), i, 2))
	}
	text, read := written(t, runs)
	if len(read) != 2000 || len(text) > 900<<10 {
		t.Errorf("%d runs, %d bytes, want 2000 and at most 900 KiB", len(read), len(text))
	}
	oldest, newest := read[0], read[len(read)-1]
	if !reflect.DeepEqual(newest, runs[4999]) {
		t.Errorf("of the newest is left %+v", newest)
	}
	if len(oldest.Members) != 2 || oldest.Members[0].Why != "" || oldest.Name != runs[3000].Name {
		t.Errorf("of the oldest is left %+v, want the names of what failed", oldest)
	}
	runs = nil
	for i := range 300 {
		runs = append(runs, ran("a", i, 0))
	}
	if _, read := written(t, runs); len(read) != 200 || read[0].Name != runs[100].Name {
		t.Errorf("%d runs of one unit, want the newest 200", len(read))
	}
}

// Large runs fit, and what they printed does not push others out.
func TestLargeRuns(t *testing.T) {
	var runs []result.Result
	for i := range 300 {
		runs = append(runs, ran(fmt.Sprintf("unit-%02d", i%20), i, 150))
	}
	text, read := written(t, runs)
	if len(read) != 300 || len(text) > 900<<10 {
		t.Errorf("%d runs, %d bytes, want all 300 in at most 900 KiB", len(read), len(text))
	}
	if m := read[299].Members; len(m) != 150 || len(m[0].Output) != 10 || len(m[149].Output) > 0 {
		t.Errorf("the newest has %d deployments, want all, and what the first printed", len(m))
	}
	if m := read[0].Members; len(m) != 10 {
		t.Errorf("the oldest has %d deployments, want the names of ten", len(m))
	}
}

// People can edit annotations: a date that JSON cannot hold costs that date alone.
func TestDates(t *testing.T) {
	r := ran("a", 1, 0)
	r.Seen = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, read := written(t, []result.Result{r}); len(read) != 1 || !read[0].Seen.IsZero() {
		t.Errorf("read %+v", read)
	}
}

// A history forgets what it was cut before, and nothing else.
func TestForgets(t *testing.T) {
	fill := func(units, runs int, refs string) (all []result.Result) {
		for n := range runs {
			for u := range units {
				r := ran(fmt.Sprint("u", u), n+1, 0)
				if refs != "" {
					r.Refs = []result.Ref{{Ref: repo.Ref{Repository: "web", Branch: refs}}}
				}
				all = append(all, r)
			}
		}
		return all
	}
	for _, tt := range []struct {
		what string
		runs []result.Result
		want string // of a run before the first of the unit u0, one of another unit before the first of all, one that is there
	}{
		{"nothing", nil, "false false false"},
		{"of few runs", fill(3, 5, ""), "false false false"},
		{"nearly full of a unit", fill(1, 199, ""), "false false false"},
		{"full of a unit", fill(1, 300, ""), "true false false"},
		{"full of runs", fill(20, 101, ""), "true true false"},
		{"full of bytes", fill(20, 99, strings.Repeat("b", 250)), "true true false"},
	} {
		_, read := written(t, history.Add(nil, tt.runs))
		forgets := history.Forgets(read)
		there := epoch
		if len(read) > 0 {
			there = read[0].Created
		}
		of := func(unit string, created time.Time) bool { return forgets(result.Result{Unit: unit, Created: created}) }
		if got := fmt.Sprint(of("u0", epoch), of("other", epoch), of("u0", there.Add(time.Second))); got != tt.want {
			t.Errorf("%s, of which %d are kept: %s, want %s", tt.what, len(read), got, tt.want)
		}
	}
}

// Whoever opens requests pushes no deployment out, of whatever repository: they have half of the history, and those of one repository
// what a branch has.
func TestRequestsPushNothingOut(t *testing.T) {
	request := func(repository string, n, members int, text string) result.Result {
		r := ran(fmt.Sprintf("%s.request-%d", repository, n), n, members)
		r.Refs = []result.Ref{{Ref: repo.Ref{Repository: repository, Branch: fmt.Sprintf("refs/pull/%d/head", n)}}}
		r.Why = text
		return r
	}
	for name, tt := range map[string]struct {
		repositories, requests, members int
		text                            string
		left                            int // at most
	}{
		"of one repository":   {1, 2500, 0, "", 200},
		"of all repositories": {20, 150, 0, "", 1000},
		"of large ones":       {20, 100, 0, strings.Repeat("x", 900), 400},
		"that print much":     {2, 150, 40, "", 300},
	} {
		deployment := ran("web.main", 0, 3)
		deployment.Refs = []result.Ref{{Ref: repo.Ref{Repository: "web", Branch: "main"}}}
		runs := []result.Result{deployment}
		for n := range tt.requests {
			for i := range tt.repositories {
				runs = append(runs, request(fmt.Sprintf("r%02d", i), n+1, tt.members, tt.text))
			}
		}
		_, read := written(t, runs)
		if len(read) < 200 || len(read) > tt.left+1 || read[0].Name != deployment.Name || len(read[0].Members) != 3 || len(read[0].Members[0].Output) == 0 {
			t.Errorf("%s: of %d runs %d are left, the first %s with %d deployments, want the deployment whole and at most %d more",
				name, len(runs), len(read), read[0].Name, len(read[0].Members), tt.left)
		}
		forgets := history.Forgets(read)
		newest := request("r00", tt.requests+1, 0, "")
		if !forgets(runs[1]) && len(read) < len(runs) || forgets(newest) || forgets(deployment) {
			t.Errorf("%s: it forgets the oldest request %v, the next %v, the deployment %v, want true, false, false", name, forgets(runs[1]), forgets(newest), forgets(deployment))
		}
	}
}

// TestOtherClustersPushNothingOut leaves the history of this cluster to it, whatever runs there are elsewhere.
func TestOtherClustersPushNothingOut(t *testing.T) {
	for name, tt := range map[string]struct {
		units int
		why   string
	}{"of many units": {50, ""}, "that are large": {50, strings.Repeat("x", 2000)}, "of the same unit": {1, ""}} {
		runs := []result.Result{ran("u0", 0, 1)}
		for n := range 60 * 50 {
			r := ran(fmt.Sprint("u", n%tt.units), n+1, 0)
			r.Cluster, r.Why = "prod", tt.why
			runs = append(runs, r)
		}
		if _, read := written(t, runs); read[0].Name != runs[0].Name || read[0].Cluster != "" || len(read) < 100 {
			t.Errorf("%s: %d runs are left, the first %s in %q", name, len(read), read[0].Name, read[0].Cluster)
		}
	}
}

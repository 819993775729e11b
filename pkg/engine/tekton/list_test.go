package tekton

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

func labelled(s *kubetest.Server, name string, labels kubetest.Object) {
	putRun(s, "a", name, "2026-01-01T00:00:30Z", "Unknown")
	s.Get(runsPath + "/" + name)["metadata"].(kubetest.Object)["labels"] = labels
}

func TestRuns(t *testing.T) {
	s, c := kubetest.New(t)
	fill(s)
	labelled(s, "by-hand", kubetest.Object{"tekton-sentry.dev/unit": "a"})
	labelled(s, "no-unit", kubetest.Object{"app.kubernetes.io/managed-by": "sentry"})
	putRun(s, "c", "edited", "2026-01-01T00:00:00Z", "Unknown")
	s.Get(runsPath + "/edited")["metadata"].(kubetest.Object)["annotations"] = kubetest.Object{"tekton-sentry.dev/trigger": "{"}
	putRun(s, "d", "unseen", "2026-01-01T00:00:00Z", "Unknown")
	delete(s.Get(runsPath+"/unseen"), "status") // Tekton has not looked at it yet
	for _, tt := range []struct {
		units []string
		want  []string // name, unit, number of triggering refs, active; oldest first
	}{
		{[]string{"a"}, []string{"a0 a 1 false", "a1 a 1 false", "a2 a 1 false", "a3 a 1 false", "a4 a 1 true"}},
		{[]string{"c", "d"}, []string{"edited c 0 true", "unseen d 1 true"}},
		{[]string{"x"}, nil},
		{nil, []string{
			"a0 a 1 false", "b0 b 1 false", "edited c 0 true", "unseen d 1 true", "no-unit  1 true", "a1 a 1 false", "b1 b 1 false",
			"a2 a 1 false", "b2 b 1 false", "a3 a 1 false", "b3 b 1 false", "a4 a 1 true", "b4 b 1 true",
		}},
	} {
		runs, err := New(c, "", instance.Instance{}).Runs(t.Context(), tt.units)
		var got []string
		for _, r := range runs {
			got = append(got, fmt.Sprintf("%s %s %d %v", r.Name, r.Unit, len(r.Trigger.Refs), r.Active))
			if r.Name == "a4" && r.Created.Format(time.RFC3339) != "2026-01-01T00:04:00Z" {
				t.Errorf("%s was created at %s, want what the list says", r.Name, r.Created)
			}
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("Runs(%q), %v\n got %q\nwant %q", tt.units, err, got, tt.want)
		}
	}
}

// Where somebody changed the columns of the CustomResourceDefinition, whole runs are read.
func TestRunsWithoutTheColumns(t *testing.T) {
	for _, name := range []string{"Succeeded", "Reason"} {
		s, c := kubetest.New(t)
		fill(s)
		s.NoColumn = name
		runs, err := New(c, "", instance.Instance{}).Runs(t.Context(), nil)
		active := 0
		for _, r := range runs {
			if r.Active {
				active++
			}
		}
		if err != nil || len(runs) != 10 || active != 2 {
			t.Errorf("without the column %s: %d runs, %d active, %v, want 10 and 2", name, len(runs), active, err)
		}
	}
}

// A list tells how runs ended, and not when: that is asked run by run.
func TestOutcomesOfAList(t *testing.T) {
	s, c := kubetest.New(t)
	fill(s)
	s.Fault = func(w http.ResponseWriter, r *http.Request) bool { // b2 goes after it was listed
		if strings.HasSuffix(r.URL.Path, "/b2") {
			kubetest.Refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "b2 not found")
			return true
		}
		return false
	}
	e := New(c, "", instance.Instance{})
	runs, err := e.Runs(t.Context(), []string{"b"})
	var got []string
	for _, r := range runs {
		var ended time.Time
		if !r.Active {
			ended, err = e.Ended(t.Context(), r.Name)
		}
		got = append(got, fmt.Sprintf("%s %s %v %v %s %v", r.Name, r.Reason, r.Succeeded, r.Failed(), ended.Format(time.TimeOnly), err))
	}
	want := []string{
		"b0 RFalse false true 01:00:00 <nil>", "b1 RTrue true false 01:00:00 <nil>", "b2 RFalse false true 00:00:00 <nil>",
		"b3 RTrue true false 01:00:00 <nil>", "b4 RUnknown false false 00:00:00 <nil>",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n got %q\nwant %q", err, got, want)
	}
}

// A list comes in pages, and asks for many units by several selectors, as proxies take only so long a URL.
func TestRunsOfMany(t *testing.T) {
	s, c := kubetest.New(t)
	var units []string
	for i := range 3 * unitsPerList {
		unit := fmt.Sprintf("%s-%03d", strings.Repeat("u", 59), i)
		units = append(units, unit)
		for n := range 3 {
			putRun(s, unit, fmt.Sprintf("%03d-%d", i, n), "2026-01-01T00:00:00Z", "True")
		}
	}
	longest, largest := 0, 0
	s.Fault = func(_ http.ResponseWriter, r *http.Request) bool {
		if accept := r.Header.Get("Accept"); !strings.HasPrefix(accept, "application/json;as=Table;") {
			t.Errorf("a list is asked for as %s, want a table: whole runs weigh up to 350 KB each", accept)
		}
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		longest, largest = max(longest, len(r.URL.String())), max(largest, limit)
		return false
	}
	for _, asked := range [][]string{units, nil} {
		runs, err := New(c, "", instance.Instance{}).Runs(t.Context(), asked)
		names := map[string]bool{}
		for _, r := range runs {
			names[r.Name] = true
		}
		if err != nil || len(runs) != 3*len(units) || len(names) != len(runs) {
			t.Errorf("of %d units: %d runs, %d names, %v, want %d", len(asked), len(runs), len(names), err, 3*len(units))
		}
	}
	if longest > 8000 || largest == 0 || largest > pageSize {
		t.Errorf("the longest URL has %d bytes, the largest page %d runs, want at most 8000 and %d", longest, largest, pageSize)
	}
}

// TestActive counts over all pages, without those that have ended and those that are not wanted.
func TestActive(t *testing.T) {
	s, c := kubetest.New(t)
	for i := range 3 * pageSize {
		putRun(s, "u", fmt.Sprintf("r%03d", i), "2026-01-01T00:00:00Z", []string{"Unknown", "True", "False"}[i%3])
	}
	e := New(c, "", instance.Instance{})
	if n, err := e.Active(t.Context(), func(plan.Existing) bool { return true }); n != pageSize || err != nil {
		t.Errorf("%d are active, %v, want %d", n, err, pageSize)
	}
	if n, err := e.Active(t.Context(), func(r plan.Existing) bool { return r.Name == "r003" && r.Unit == "u" }); n != 1 || err != nil {
		t.Errorf("%d are active and wanted, %v, want 1", n, err)
	}
}

// A list of which a page fails is no list: what is not in it would be taken for not there.
func TestRunsAreAllOrNothing(t *testing.T) {
	after := 0
	for name, fault := range map[string]func(w http.ResponseWriter){
		"an error":       func(w http.ResponseWriter) { http.Error(w, "no backend", http.StatusBadGateway) },
		"cut short":      func(w http.ResponseWriter) { w.Header().Set("Content-Length", "999"); fmt.Fprint(w, `{"items":[`) },
		"something else": func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") },
		"followed by itself": func(w http.ResponseWriter) {
			fmt.Fprintf(w, `{"metadata":{"continue":"%d"},"items":[]}`, pageSize)
		},
		"followed by nothing for ever": func(w http.ResponseWriter) {
			after++
			fmt.Fprintf(w, `{"metadata":{"continue":"after-%d"},"items":[]}`, after)
		},
	} {
		s, c := kubetest.New(t)
		for i := range pageSize + 1 {
			putRun(s, "a", fmt.Sprintf("a%03d", i), "2026-01-01T00:00:00Z", "True")
		}
		s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("continue") == "" {
				return false
			}
			fault(w)
			return true
		}
		if runs, err := New(c, "", instance.Instance{}).Runs(t.Context(), nil); err == nil || runs != nil || !strings.Contains(err.Error(), "list PipelineRuns in test") {
			t.Errorf("the second page is %s: %d runs, %v, want an error alone", name, len(runs), err)
		}
	}
}

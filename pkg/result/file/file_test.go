package file_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/result/file"
)

func TestStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if runs, err := file.New(path).List(t.Context(), ""); err != nil || len(runs) > 0 {
		t.Fatalf("without a file: %v, %v", runs, err)
	}
	for i, unit := range []string{"a", "b", "a"} {
		run := result.Result{Name: string(rune('0' + i)), Unit: unit, Created: time.Unix(int64(i), 0).UTC(), Verdict: result.Succeeded}
		if err := file.New(path).Add(t.Context(), []result.Result{run}); err != nil {
			t.Fatal(err)
		}
	}
	if runs, err := file.New(path).List(t.Context(), "a"); err != nil || len(runs) != 2 || runs[0].Name != "2" {
		t.Errorf("the runs of a are %+v, %v, want two, the newest first", runs, err)
	}
	if info, err := os.Stat(path + ".history"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v, want a file for its owner alone", info, err)
	}
	if err := os.WriteFile(path+".history", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := file.New(path).List(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("a damaged file: %v, want what to do", err)
	}
	if err := file.New(path).Add(t.Context(), nil); err == nil {
		t.Error("a damaged file was written over")
	}
	// What is larger than any history is not read to its end: it is as large as a disk holds.
	if err := os.Truncate(path+".history", 1<<40); err != nil {
		t.Skip(err)
	}
	if _, err := file.New(path).List(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "has more than 2097152 bytes") {
		t.Errorf("a huge file: %v", err)
	}
}

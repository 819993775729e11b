package spelling

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"name", "group", "repo_url", "repo_type", "polling_interval", "username"}
	for in, want := range map[string]string{
		"nam": "name", "gruop": "group", "RepoURL": "repo_url", "poling-interval": "polling_interval", "user": "username",
		"url": "repo_url", "gate": "", "x": "", "": "", "interval": "polling_interval", "zzzzzzzz": "",
	} {
		if got := Nearest(in, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// BehindLinks returns where a link to a state file leads, so that the locks and the journal beside the file are the same by
// whatever name it is given.
func BehindLinks(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path // it is still to be made
}

// Default is one file for each configuration file, below the XDG state directory.
func Default(configFile string) (string, error) {
	abs, err := filepath.Abs(configFile)
	if err != nil {
		return "", fmt.Errorf("find the state file: %w", err)
	}
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the state file: %w; name one with --state", err)
		}
		dir = filepath.Join(home, ".local", "state")
	}
	flat := strings.ReplaceAll(strings.TrimPrefix(abs, "/"), "/", "%")
	return filepath.Join(dir, "sentry", flat+".json"), nil
}

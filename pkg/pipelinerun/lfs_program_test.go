package pipelinerun

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// standIn has this test's program be git-lfs, as far as the clone step needs it.
const standIn = "TEST_IS_GIT_LFS"

func TestMain(m *testing.M) {
	if os.Getenv(standIn) != "" {
		if err := gitLFS(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		return
	}
	os.Exit(m.Run())
}

// lfsPrograms returns what a step needs to find git-lfs: that of this machine, where there is one, and the stand-in.
func lfsPrograms(t *testing.T) map[string][]string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "git-lfs"), []byte("#!/bin/sh\nexec '"+self+"' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	programs := map[string][]string{"stand-in": {"PATH=" + bin + ":" + os.Getenv("PATH"), standIn + "=1"}}
	if _, err := exec.LookPath("git-lfs"); err == nil {
		programs["git-lfs"] = nil
	}
	return programs
}

// gitLFS is `git lfs pull` of small files, after the protocol of Git LFS.
func gitLFS(args []string) error {
	if args[0] == "version" {
		return nil
	}
	if strings.Join(args, " ") != "pull origin" {
		return fmt.Errorf("the stand-in does not know %q", args)
	}
	server := said("config", "-f", ".lfsconfig", "lfs.url")
	if server == "" {
		server = said("config", "remote.origin.url") + "/info/lfs"
	}
	for name := range strings.FieldsSeq(said("ls-files", ":(attr:filter=lfs)")) {
		pointer, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		words := strings.Fields(string(pointer))
		oid, size := strings.TrimPrefix(words[3], "sha256:"), words[5]
		text, err := fetchLarge(server, oid, size)
		if err != nil {
			return err
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func said(args ...string) string {
	out, _ := exec.Command("git", args...).Output()
	return strings.TrimSpace(string(out))
}

// fetchLarge asks without a credential, and again with what git has for a server that wants one.
func fetchLarge(server, oid, size string) ([]byte, error) {
	question := fmt.Sprintf(`{"operation":"download","objects":[{"oid":%q,"size":%s}]}`, oid, size)
	user, password := "", ""
	for {
		req, err := http.NewRequest(http.MethodPost, server+"/objects/batch", strings.NewReader(question))
		if err != nil {
			return nil, err
		}
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		answer, code, err := do(req)
		if err != nil {
			return nil, err
		}
		if code == http.StatusUnauthorized && user == "" {
			fill := exec.Command("git", "credential", "fill")
			fill.Stdin = strings.NewReader("url=" + server + "\n\n")
			out, err := fill.Output()
			if err != nil {
				return nil, errors.New("credentials are missing")
			}
			for line := range strings.Lines(string(out)) {
				key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				switch key {
				case "username":
					user = value
				case "password":
					password = value
				}
			}
			continue
		}
		if code != http.StatusOK {
			return nil, fmt.Errorf("Server error from HTTP %d", code) //nolint:staticcheck // the words of git-lfs
		}
		var found struct {
			Objects []struct {
				Actions struct{ Download struct{ Href string } }
				Error   struct{ Message string }
			}
		}
		if err := json.Unmarshal(answer, &found); err != nil {
			return nil, err
		}
		if m := found.Objects[0].Error.Message; m != "" {
			return nil, errors.New(m)
		}
		if req, err = http.NewRequest(http.MethodGet, found.Objects[0].Actions.Download.Href, nil); err != nil {
			return nil, err
		}
		answer, _, err = do(req)
		return answer, err
	}
}

func do(req *http.Request) ([]byte, int, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	return b.Bytes(), resp.StatusCode, err
}

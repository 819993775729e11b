// Package docs holds the documentation to what it says: every YAML in it is loaded, every link leads
// somewhere, every make target that it names exists.
package docs

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/strategy/cel"
)

const root = "../.."

// pages returns the documentation's files.
func pages(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*.md"} {
		matches, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, matches...)
	}
	if len(files) < 8 {
		t.Fatalf("only %d pages: %v", len(files), files)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// appKey is the private key of a GitHub App.
var appKey = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
})

// sshKey is a private key.
var sshKey = func() string {
	block, err := ssh.MarshalPrivateKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), "")
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(block))
}()

// everySet is an environment in which every variable is set, to what is right for a proxy too. No URL is right for a registry, or for a key.
func everySet(name string) (string, bool) {
	switch {
	case name == "IMAGE_REGISTRY":
		return "registry.example.com/mirror", true
	case strings.HasSuffix(name, "SSH_KEY"):
		return sshKey, true
	case strings.HasSuffix(name, "APP_KEY"):
		return appKey(), true
	}
	return "http://set.example", true
}

func checkYAML(t *testing.T, where, text string) {
	t.Helper()
	var value map[string]any
	d := yaml.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&value); err != nil {
		t.Errorf("%s: %v\n%s", where, err, text)
		return
	}
	if _, ok := value["repositories"]; !ok || value["kind"] != nil {
		return
	}
	if _, err := config.Parse([]byte(text), config.Options{Hosts: hosts.All.Config(), Expression: cel.Needs, LookupEnv: everySet}); err != nil {
		t.Errorf("%s: as sentry.yaml: %v", where, err)
	}
}

var fenced = regexp.MustCompile("(?ms)^```ya?ml\n(.*?)^```$")

func TestYAMLInPagesLoads(t *testing.T) {
	blocks := 0
	for _, page := range pages(t) {
		for _, m := range fenced.FindAllStringSubmatch(read(t, page), -1) {
			checkYAML(t, page, m[1])
			blocks++
		}
	}
	if blocks == 0 {
		t.Error("no YAML found")
	}
}

func TestYAMLFilesLoad(t *testing.T) {
	files := []string{filepath.Join(root, "kind-config.yaml")}
	for _, pattern := range []string{"examples/*.yaml", "manifests/*.yaml", "tekton/*.yaml"} {
		matches, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(matches) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(matches), err)
		}
		files = append(files, matches...)
	}
	for _, file := range files {
		for i, doc := range strings.Split(read(t, file), "\n---\n") {
			checkYAML(t, file, doc)
			if i > 0 && strings.TrimSpace(doc) == "" {
				t.Errorf("%s: an empty document", file)
			}
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			target := filepath.Join(filepath.Dir(page), m[1])
			if m[1] == "" { // a place of the same page
				target = page
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
				continue
			}
			if m[2] != "" && !hasHeading(read(t, target), m[2][1:]) {
				t.Errorf("%s links to %s%s, and there is no such heading", page, m[1], m[2])
			}
		}
	}
}

// hasHeading reports whether a heading of the page has the anchor that code hosts give it.
func hasHeading(page, anchor string) bool {
	drop := regexp.MustCompile("[^a-z0-9 _-]")
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "#") {
			heading := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
			if strings.ReplaceAll(drop.ReplaceAllString(heading, ""), " ", "-") == anchor {
				return true
			}
		}
	}
	return false
}

var makeCall = regexp.MustCompile("(?m)(?:^    |`)make ([a-z][a-z0-9 -]*)")

// The decisions' index has each of them, under its title.
func TestDecisionsAreListed(t *testing.T) {
	dir := filepath.Join(root, "docs", "decisions")
	index := read(t, filepath.Join(dir, "README.md"))
	files, err := filepath.Glob(filepath.Join(dir, "[0-9]*.md"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d decisions, %v", len(files), err)
	}
	for _, file := range files {
		first, _, _ := strings.Cut(read(t, file), "\n")
		number, title, _ := strings.Cut(strings.TrimPrefix(first, "# "), ": ")
		if row := "| [" + number + "](" + filepath.Base(file) + ") | " + title + " |\n"; !strings.Contains(index, row) {
			t.Errorf("docs/decisions/README.md lacks the row %q", row)
		}
	}
}

func TestMakeTargetsExist(t *testing.T) {
	makefile := read(t, filepath.Join(root, "Makefile"))
	for _, page := range pages(t) {
		for _, m := range makeCall.FindAllStringSubmatch(lists.ReplaceAllString(read(t, page), ""), -1) {
			for _, target := range strings.Fields(m[1]) {
				if !strings.Contains(makefile, "\n"+target+":") {
					t.Errorf("%s: make %s: no such target", page, target)
				}
			}
		}
	}
}

// The program must collect its garbage before the kernel ends it: GOMEMLIMIT lies below the memory limit, with room for
// what Go does not count, and leaves it most of that.
func TestMemoryLimitOfTheDeployment(t *testing.T) {
	var deployment struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Env       []struct{ Name, Value string }
						Resources struct{ Limits struct{ Memory string } }
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join(root, "manifests/deployment.yaml"))), &deployment); err != nil {
		t.Fatal(err)
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	goal := ""
	for _, v := range container.Env {
		if v.Name == "GOMEMLIMIT" {
			goal = v.Value
		}
	}
	limit, inMi := strings.CutSuffix(container.Resources.Limits.Memory, "Mi")
	soft, inMiB := strings.CutSuffix(goal, "MiB")
	hard, err := strconv.Atoi(limit)
	if !inMi || err != nil {
		t.Fatalf("the memory limit is %q, want it in Mi", container.Resources.Limits.Memory)
	}
	if n, err := strconv.Atoi(soft); !inMiB || err != nil || n < hard*80/100 || n > hard*90/100 {
		t.Errorf("GOMEMLIMIT is %q with a limit of %d Mi, want 80 to 90 percent of it, in MiB", goal, hard)
	}
}

// The index of the documentation leads to each page.
func TestIndexHasEveryPage(t *testing.T) {
	index := read(t, filepath.Join(root, "docs/README.md"))
	files, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil || len(files) < 8 {
		t.Fatalf("%d pages, %v", len(files), err)
	}
	for _, file := range files {
		if name := filepath.Base(file); name != "README.md" && !strings.Contains(index, "]("+name) {
			t.Errorf("docs/README.md does not lead to %s", name)
		}
	}
	if !strings.Contains(read(t, filepath.Join(root, "README.md")), "](docs/README.md)") {
		t.Error("README.md does not lead to docs/README.md")
	}
}

package docs

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const troubleshooting = "docs/troubleshooting.md"

// areas says in which section of the page the messages of a folder are. The first that fits counts. A message about
// sentry.yaml (pkg/config) says itself what would be right, at which key and line.
var areas = []struct{ folder, section string }{
	{"pkg/config", ""},
	{"pkg/glob", ""},      // of which pkg/config makes sentences
	{"pkg/githubapp", ""}, // of which pkg/config makes sentences
	{"pkg/giturl", ""},    // of which pkg/config makes sentences
	{"pkg/sshauth", "A repository cannot be read"},
	{"pkg/freeze", ""},
	{"pkg/cli/environ", "Variables and Secrets"},
	{"pkg/cli/reload", "A changed file is not used"},
	{"pkg/event/kubesink", "A changed file is not used"},
	{"pkg/secret", "Variables and Secrets"},
	{"pkg/cli/reporting", "A report does not come"},
	{"pkg/report", "A report does not come"},
	{"pkg/cli", "A command is refused"},
	{"pkg/explain", "A command is refused"},
	{"pkg/online", "A repository cannot be read"},
	{"pkg/githost", "A repository cannot be read"},
	{"pkg/filter", "A repository cannot be read"},
	{"pkg/discover", "A repository cannot be read"},
	{"pkg/plan", "No run is made"},
	{"pkg/pipelinerun", "No run is made"},
	{"pkg/strategy", "No run is made"},
	{"pkg/watch", "A cycle fails"},
	{"pkg/kube", "A cycle fails"},
	{"pkg/engine/tekton", "A cycle fails"},
	{"pkg/engine/local", "On one machine"},
	{"pkg/result/file", "On one machine"},
	{"pkg/result/configmap", "A cycle fails"},
	{"pkg/result/history", "A cycle fails"},
	{"pkg/result", "A run fails"},
	{"pkg/filelock", "On one machine"},
	{"pkg/oneline", "The state cannot be used"},
	{"pkg/state/file", "On one machine"},
	{"pkg/state", "The state cannot be used"},
	{"pkg/engine", "A cycle fails"},
	{"pkg/event", "A cycle fails"},
	{"pkg/instance", "A cycle fails"},
	{"pkg/notify", "A webhook is not told"},
	{"pkg/traces", "Traces do not come"},
	{"pkg/shape", ""}, // of what is generated
	{"pkg/serve/page", "The page shows nothing"},
	{"pkg/serve", "A webhook does nothing"},
	{"pkg/share", "A cycle fails"},
	{"pkg/preflight", "A check fails"},
	{"pkg/repo", "A repository cannot be read"},
}

// message is a text that Sentry prints, with … for what it fills in.
type message struct {
	text, file string
	logged     bool // at the level warn or error
}

var (
	verb  = regexp.MustCompile(`%(?:\[\d+\])?[-+# 0]*[0-9.*]*[a-zA-Z]`)
	words = regexp.MustCompile(`\pL{2,}`)
	// makers are the functions that make an error, with the place of its text among their arguments.
	makers = map[string]int{"errors.New": 0, "fmt.Errorf": 0, "usage.Errorf": 0, "Errorf": 0, "c.find": 4, "NewError": 2, "githost.NewError": 2, "notGit": 0, "protocolError": 0, "rest.Address": 0, "Address": 0}
)

// generalize writes … for what is filled in, and leaves out the error that is wrapped at the end.
func generalize(format string) string {
	text := strings.ReplaceAll(verb.ReplaceAllString(format, "…"), "%%", "%")
	text = strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "……", "…")
	for strings.HasSuffix(text, ": …") {
		text = strings.TrimSuffix(text, ": …")
	}
	return text
}

// literal returns what an expression says in words, with … for what is no literal.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		return literal(e.X) + literal(e.Y)
	case *ast.CallExpr:
		if name(e.Fun) == "fmt.Sprintf" {
			return literal(e.Args[0])
		}
	}
	return "%s"
}

func name(fun ast.Expr) string {
	switch f := fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
		return "." + f.Sel.Name
	}
	return ""
}

var logs = regexp.MustCompile(`(^|\.)(Warn|Error)$`)

// texts returns the messages of a node of the program.
func texts(n ast.Node) (found []message) {
	switch n := n.(type) {
	case *ast.CallExpr:
		fun := name(n.Fun)
		if i, makes := makers[fun]; makes && i < len(n.Args) {
			found = append(found, message{text: literal(n.Args[i])})
		}
		if logs.MatchString(fun) && len(n.Args) > 0 {
			found = append(found, message{text: literal(n.Args[0]), logged: true})
		}
		for i, arg := range n.Args { // a method that logs, handed on with its texts
			if logs.MatchString(name(arg)) {
				for _, text := range n.Args[i+1:] {
					found = append(found, message{text: literal(text), logged: true})
				}
			}
		}
	case *ast.CompositeLit: // what sentry check finds
		if len(n.Elts) == 3 && (name(n.Elts[0]) == "Warn" || name(n.Elts[0]) == "Fail") {
			found = append(found, message{text: literal(n.Elts[2])})
		}
	case *ast.AssignStmt: // what would mend an answer of a host, and the two lines about units
		for i, left := range n.Lhs {
			if to := name(left); (to == "hint" || to == "message") && len(n.Rhs) == len(n.Lhs) {
				found = append(found, message{text: literal(n.Rhs[i]), logged: to == "message"})
			}
		}
	case *ast.ReturnStmt: // errors that are types
		for _, e := range n.Results {
			if text := literal(e); len(words.FindAllString(text, -1)) > 5 {
				found = append(found, message{text: text})
			}
		}
	}
	return found
}

// messages are those of the program, by the sections of the page.
func messages(t *testing.T) map[string][]message {
	t.Helper()
	sections, files := map[string][]message{}, token.NewFileSet()
	err := filepath.WalkDir(filepath.Join(root, "pkg"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasSuffix(path, "test") || d.Name() == "conformance" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path) // both begin with root
		i := slices.IndexFunc(areas, func(a struct{ folder, section string }) bool { return strings.HasPrefix(rel, a.folder+"/") })
		ast.Inspect(file, func(n ast.Node) bool {
			for _, m := range texts(n) {
				m.text, m.file = generalize(m.text), rel
				switch {
				case len(words.FindAllString(m.text, -1)) < 2:
				case i < 0:
					t.Errorf("%s says %q: no area of this test has its folder", rel, m.text)
				case areas[i].section != "":
					sections[areas[i].section] = append(sections[areas[i].section], m)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sections
}

// kinds collects the kinds of problems that sentry status shows.
type kinds struct {
	constants map[string]string
	found     map[string]bool
	made      []ast.Expr // what is handed to the places that make a problem
}

// visit looks at a node of a file of pkg/FOLDER.
func (k *kinds) visit(folder, file string, n ast.Node) {
	switch n := n.(type) {
	case *ast.ValueSpec:
		for i, v := range n.Values {
			if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				k.constant(folder, file, n, n.Names[i].Name, literal(lit))
			}
		}
	case *ast.CallExpr:
		switch fun := name(n.Fun); {
		case strings.HasSuffix(fun, ".problem"), strings.HasSuffix(fun, ".SetProblem"):
			k.made = append(k.made, n.Args[1])
		case strings.HasSuffix(fun, "NewProblem"):
			k.made = append(k.made, n.Args[0])
		}
	case *ast.KeyValueExpr:
		if name(n.Key) == "Kind" {
			k.made = append(k.made, n.Value)
		}
	case *ast.FuncDecl:
		if n.Name.Name == "ProblemKind" {
			ast.Inspect(n, func(n ast.Node) bool {
				if r, ok := n.(*ast.ReturnStmt); ok {
					k.made = append(k.made, r.Results...)
				}
				return true
			})
		}
	}
}

// constant notes a constant, and that it is a kind where its place says so: those of hosts, and those of the cluster,
// which watch puts behind "create-" unless they may go away by themselves.
func (k *kinds) constant(folder, file string, n *ast.ValueSpec, name, value string) {
	k.constants[name] = value
	if kind, ok := n.Type.(*ast.Ident); ok && kind.Name == "Kind" && folder == "githost" {
		k.found[value] = true
	}
	if folder == "kube" && file == "errors.go" && name != "Temporary" {
		k.found["create-"+value] = true
	}
}

// problemKinds are all kinds of problems.
func problemKinds(t *testing.T) []string {
	t.Helper()
	k := kinds{map[string]string{}, map[string]bool{"create": true}, nil}
	for _, folder := range []string{"githost", "kube", "plan", "state", "watch"} {
		files, err := filepath.Glob(filepath.Join(root, "pkg", folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("pkg/%s: %d files, %v", folder, len(files), err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				k.visit(folder, filepath.Base(path), n)
				return true
			})
		}
	}
	for _, e := range k.made {
		constant := name(e)
		constant = constant[strings.LastIndex(constant, ".")+1:]
		if lit, ok := e.(*ast.BasicLit); ok && literal(lit) != "" {
			k.found[literal(lit)] = true
		} else if kind := k.constants[constant]; kind != "" {
			k.found[kind] = true
		}
	}
	return slices.Sorted(maps.Keys(k.found))
}

// steps are the lines that the steps of a run print by themselves.
func steps(t *testing.T) (lines []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "tekton/*.[ys]*"))
	if err != nil {
		t.Fatal(err)
	}
	var scripts strings.Builder
	for _, file := range files {
		scripts.WriteString(read(t, file))
	}
	for _, m := range regexp.MustCompile(`(?:echo|printf) (?:'([^']+)'|"([^"]+)")[^|\n]*>&2|printf '(trying [^']+)'`).FindAllStringSubmatch(scripts.String(), -1) {
		text := strings.TrimSuffix(cmp.Or(m[1], m[2], m[3]), `\n`)
		text = regexp.MustCompile(`\$[a-z]+|%s`).ReplaceAllString(text, "…")
		if len(words.FindAllString(text, -1)) > 1 {
			lines = append(lines, text)
		}
	}
	return lines
}

var lists = regexp.MustCompile(`(?s)<!-- messages: ([^\n]*) -->\n.*?<!-- end -->`)

// TestTroubleshootingHasEveryMessage finds each message of the program on the page. What ends up in the log as a warning or
// an error, a kind of a problem and what a run prints are in a table, with what to do. All else is in the list of its section.
func TestTroubleshootingHasEveryMessage(t *testing.T) {
	file := filepath.Join(root, troubleshooting)
	page := read(t, file)
	byHand := strings.ReplaceAll(strings.Join(strings.Fields(lists.ReplaceAllString(page, "")), " "), `\|`, "|")
	explained := func(text string) bool { return strings.Contains(byHand, "`"+text) }
	all, lines := problemKinds(t), steps(t)
	if len(all) < 15 || len(lines) < 7 {
		t.Fatalf("found the kinds %q and the lines %q of steps, want more", all, lines)
	}
	for _, kind := range all {
		if !explained(kind + "`") {
			t.Errorf("%s does not say what to do about problems of kind %q", troubleshooting, kind)
		}
	}
	for _, line := range lines {
		if !explained(line) {
			t.Errorf("%s does not say what to do when a run prints %q", troubleshooting, line)
		}
	}
	want := map[string]string{}
	for section, all := range messages(t) {
		if !strings.Contains(page, "\n## "+section+"\n") {
			t.Errorf("%s has no section %q", troubleshooting, section)
		}
		var list []string
		for _, m := range all {
			switch {
			case explained(m.text):
			case m.logged:
				t.Errorf("%s does not say what to do when the log says %q (%s)", troubleshooting, m.text, m.file)
			default:
				list = append(list, "- `"+m.text+"`\n")
			}
		}
		slices.Sort(list)
		if len(list) > 0 {
			want[section] = "\n" + strings.Join(slices.Compact(list), "") + "\n"
		}
	}
	written := lists.ReplaceAllStringFunc(page, func(was string) string {
		section := lists.FindStringSubmatch(was)[1]
		list := want[section]
		delete(want, section)
		return fmt.Sprintf("<!-- messages: %s -->\n%s<!-- end -->", section, list)
	})
	for section := range want {
		t.Errorf("%s has no place for the messages of the section %q", troubleshooting, section)
	}
	switch {
	case written == page:
	case *update:
		if err := os.WriteFile(file, []byte(written), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("the lists of %s are not those of the program: explain what is new in a table, or write it into a list by go test ./test/docs -update", troubleshooting)
	}
}

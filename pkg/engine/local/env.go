package local

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// mount is a volume of a task: where the PipelineRun has it, and the directory that stands in for it.
type mount struct{ path, dir string }

// remap returns value with a mount path at its start replaced by the directory.
func remap(value string, mounts []mount) string {
	for _, m := range mounts {
		if rest, ok := strings.CutPrefix(value, m.path); ok && (rest == "" || rest[0] == '/') {
			return m.dir + rest
		}
	}
	return value
}

// lookup returns the variable's value in the engine's environment.
func (e *Engine) lookup(name string) (string, bool) {
	e.mu.Lock()
	env := e.Env
	e.mu.Unlock()
	for _, v := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// misleading are variables that would take a step's git away from the step's own directories: to the
// repository whose hook started Sentry, or to the user's own configuration, which the clone step writes.
var misleading = []string{
	"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE",
	"GIT_CONFIG", "GIT_CONFIG_GLOBAL", "XDG_CONFIG_HOME",
}

// inherited is the environment that every step gets: the engine's, without what is hidden or any
// run takes secrets from.
func (e *Engine) inherited() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(e.Env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return e.secrets[name] || slices.Contains(misleading, name)
	})
}

// stepEnv returns a step's whole environment, and the part of it that is the step's own. A variable of
// Kubernetes' own form, $(NAME), is expanded from the variables before it, as the kubelet does.
func (e *Engine) stepEnv(vars []corev1.EnvVar, mounts []mount) (env []string, own map[string]string) {
	env, own = e.inherited(), map[string]string{}
	for _, v := range vars {
		var value string
		if v.ValueFrom == nil {
			value = remap(expand(v.Value, own), mounts)
		} else {
			_, key := keyOf(v.ValueFrom)
			found, ok := e.lookup(key)
			if !ok {
				continue // optional: missing ones that are not have failed the task before
			}
			value = found
		}
		own[v.Name] = value
		env = append(env, v.Name+"="+value)
	}
	return append(env, e.kubeconfig(own)...), own
}

// kubeconfig keeps kubectl working in a step whose HOME is not the user's.
func (e *Engine) kubeconfig(own map[string]string) []string {
	_, moved := own["HOME"]
	_, mine := own["KUBECONFIG"]
	_, users := e.lookup("KUBECONFIG")
	home, ok := e.lookup("HOME")
	if !moved || mine || users || !ok {
		return nil
	}
	path := filepath.Join(home, ".kube", "config")
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	return []string{"KUBECONFIG=" + path}
}

// expand replaces $(NAME) where NAME is in vars, and $$ by $, like Kubernetes in env values and args.
func expand(text string, vars map[string]string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(text, '$')
		if i < 0 || i == len(text)-1 {
			return b.String() + text
		}
		b.WriteString(text[:i])
		text = text[i:]
		end := strings.IndexByte(text, ')')
		switch {
		case text[1] == '$':
			b.WriteByte('$')
			text = text[2:]
		case text[1] == '(' && end > 0:
			value, ok := vars[text[2:end]]
			if !ok {
				value = text[:end+1]
			}
			b.WriteString(value)
			text = text[end+1:]
		default:
			b.WriteString(text[:1])
			text = text[1:]
		}
	}
}

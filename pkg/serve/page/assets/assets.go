// Package assets has the style, the script and the icon of the page.
package assets

import (
	"embed"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/serve/page/wire"
)

//go:embed page.css page.js icon.svg
var files embed.FS

// Asset is something that never changes under its name.
type Asset struct {
	Kind  string // its media type
	Bytes []byte
}

var all, paths = read()

// read returns the assets by names that tell their content, and their paths by the names of their files.
func read() (map[string]Asset, map[string]string) {
	kinds := map[string]string{"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"}
	all, paths := map[string]Asset{}, map[string]string{}
	for name, kind := range kinds {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err)
		}
		before, after, _ := strings.Cut(name, ".")
		at := before + "-" + wire.Digest(text)[:12] + "." + after
		all[at], paths[name] = Asset{kind, text}, "/assets/"+at
	}
	return all, paths
}

// Get returns the asset that is served as /assets/NAME.
func Get(name string) (Asset, bool) {
	a, ok := all[name]
	return a, ok
}

// Path returns where the asset of a file is served.
func Path(file string) string { return paths[file] }

package naming

import "strings"

// At returns how an engine is told which unit or run is meant, by its label or name: in a cluster that is not the one that Sentry runs in,
// behind that one's name and a slash, which neither has.
func At(cluster, name string) string {
	if cluster == "" {
		return name
	}
	return cluster + "/" + name
}

// Place takes apart what At returned.
func Place(at string) (cluster, name string) {
	if cluster, name, ok := strings.Cut(at, "/"); ok {
		return cluster, name
	}
	return "", at
}

package gitprototest

import (
	"net/http"
	"strings"
)

// Older is a repository on a server that speaks version 0 of the protocol alone, as Azure DevOps does, whatever version it is asked
// for. It lists all that it has.
type Older struct {
	Capabilities string
	Refs         []string // "NAME REF" each, in order, and "shallow NAME"; none = it is empty
}

// ServeHTTP implements http.Handler, for requests to any path that is a repository's.
func (o Older) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !strings.HasSuffix(req.URL.Path, "/info/refs") || req.URL.Query().Get("service") != "git-upload-pack" {
		http.Error(w, "TF401041: The Git protocol sent is not as expected", http.StatusBadRequest)
		return
	}
	refs := o.Refs
	if len(refs) == 0 {
		refs = []string{strings.Repeat("0", 40) + " capabilities^{}"}
	}
	var answer strings.Builder
	answer.WriteString(packet("# service=git-upload-pack\n") + "0000")
	for i, ref := range refs {
		if i == 0 {
			ref += "\x00" + o.Capabilities
		}
		answer.WriteString(packet(ref + "\n"))
	}
	w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
	_, _ = w.Write([]byte(answer.String() + "0000"))
}

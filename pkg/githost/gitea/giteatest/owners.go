package giteatest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// ownerOf returns the number of an owner.
func ownerOf(a *githosttest.Asked, name string) string {
	o, _ := a.Owner(name)
	return strconv.Itoa(o.ID)
}

// user answers who somebody is. An organisation is a user, too.
func user(a *githosttest.Asked) githosttest.Reply {
	name := githosttest.Unescape(a.Parts[3])
	o, ok := a.Owner(name)
	if !ok {
		return refuse(a, http.StatusNotFound)
	}
	return githosttest.NewReply(http.StatusOK, asJSON(), map[string]any{"id": o.ID, "login": name, "username": name})
}

// raw answers with a file of the default branch.
func raw(a *githosttest.Asked) githosttest.Reply {
	r, status := a.Find(githosttest.Unescape(a.Parts[3]) + "/" + githosttest.Unescape(a.Parts[4]))
	if status != http.StatusOK {
		return refuse(a, status)
	}
	text, ok := r.Files[githosttest.Unescape(strings.Join(a.Parts[6:], "/"))]
	if !ok {
		return refuse(a, http.StatusNotFound)
	}
	return githosttest.NewReply(http.StatusOK, map[string]string{"Content-Type": "text/plain; charset=utf-8"}, text)
}

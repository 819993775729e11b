package watch

import "github.com/tekton-sentry/sentry/pkg/watch/asked"

// Request asks for a cycle before its time: look at these, because.
type Request = asked.Request

// Ask wants a cycle as soon as the one in hand has ended. It may be called at any time and never
// waits. Requests that come meanwhile become one; its Reason is that of the first one, or of the
// first one for all.
func (w *Watcher) Ask(r Request) { w.requests.Add(r) }

// Package pages puts the page together for the commands that serve it: `sentry page` and `sentry watch --page`.
package pages

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/serve"
	"github.com/tekton-sentry/sentry/pkg/serve/page"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
)

// OnThisMachine says what is wrong with an address that only programs of this machine reach.
func OnThisMachine(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%.80q: want an address such as 127.0.0.1:8082", address)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("%.80q: want one of this machine alone, such as 127.0.0.1:8082, as whoever reaches it has your rights to read; "+
			"a page for several people is served by 'sentry watch --page'", address)
	}
	return nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$`)

// CheckNames says what is wrong with the names under which a page is asked for.
func CheckNames(names []string) error {
	for _, n := range names {
		if !hostName.MatchString(n) {
			return fmt.Errorf("%.80q: want a host name without a port, such as sentry.example.com", n)
		}
	}
	return nil
}

// Link returns where the host of a repository shows people what is new in it; "" = nowhere.
func Link(r *config.Repository, from, to repo.SHA) string {
	driver := hosts.All.Of(r.Monitor.Type)
	if driver == nil {
		return ""
	}
	return driver.Page(r.Monitor.URL, from, to)
}

// Serve serves a page at all of the listeners until ctx ends, or one of them.
func Serve(ctx context.Context, o page.Options, all ...net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := page.New(o)
	defer context.AfterFunc(ctx, p.Close)()
	defer p.Close()
	errs := make([]error, len(all))
	var serving sync.WaitGroup
	for i, l := range all {
		serving.Go(func() {
			defer cancel() // at one alone it is not served
			errs[i] = serve.Serve(ctx, l, map[string]http.Handler{"/": p}, o.Log)
		})
	}
	serving.Wait()
	return errors.Join(errs...)
}

// Hosts returns how the hosts stand that a reader asks.
func Hosts(r *poller.Reader, hide func(string) string) func() []facts.Host {
	return func() []facts.Host {
		var all []facts.Host
		for _, e := range r.Stats() {
			h := facts.Host{
				Host: e.Host, Credential: e.Credential, Requests: e.Requests, Failures: e.Failures, Cached: e.Cached, Late: e.Late,
				Until: e.Until, Resource: e.Resource,
			}
			if e.Why != nil {
				h.Why = hide(e.Why.Error())
			}
			for _, g := range e.Grants {
				h.Budgets = append(h.Budgets, facts.Budget{Resource: g.Resource, Limit: g.Limit, Remaining: g.Remaining, Reset: g.Reset})
			}
			all = append(all, h)
		}
		return all
	}
}

package pages_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/pages"
	"github.com/tekton-sentry/sentry/pkg/serve/page"
	"github.com/tekton-sentry/sentry/pkg/serve/page/pagetest"
)

// A page of one's own machine is at both addresses to which a name below localhost leads, so that nobody else gets what is meant for it.
func TestBothAddresses(t *testing.T) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"127.0.0.1"}
	if slices.ContainsFunc(addresses, func(a net.Addr) bool { return strings.HasPrefix(a.String(), "::1/") }) {
		want = append(want, "[::1]")
	}
	for i, first := range want {
		all, err := pages.Listen(t.Context(), first+":0")
		if err != nil || len(all) != len(want) {
			t.Fatalf("at %s it listens at %d addresses, want %v: %v", first, len(all), want, err)
		}
		_, port, err := net.SplitHostPort(all[0].Addr().String())
		if err != nil || all[0].Addr().String() != first+":"+port {
			t.Errorf("the first address is %s, want that of %s, %v", all[0].Addr(), first, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- pages.Serve(ctx, page.Options{Source: &pagetest.Memory{Is: pagetest.Small(t, time.Now())}, Log: slog.New(slog.DiscardHandler)}, all...)
		}()
		for _, at := range want {
			resp, err := http.Get("http://" + at + ":" + port + "/")
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || !strings.Contains(string(text), `href="/unit/shop"`) {
				t.Errorf("at %s there is %.300s, %v", at, text, err)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}

		// Whoever has the other address already is found out.
		if len(want) == 1 {
			continue
		}
		theirs, err := net.Listen("tcp", want[1-i]+":0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(theirs.Addr().String())
		if all, err := pages.Listen(t.Context(), first+":"+port); err == nil || !strings.Contains(err.Error(), "free at both") {
			t.Errorf("beside somebody at %s it listens at %v, %v", theirs.Addr(), all, err)
		}
		_ = theirs.Close()
	}
}

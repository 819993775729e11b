package event_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/event"
)

// taken is a sink that keeps the units of the events that it takes.
type taken struct{ units []string }

func (s *taken) take(_ context.Context, events []event.Event) {
	for _, e := range events {
		s.units = append(s.units, e.(event.UnitHeld).Unit)
	}
}

// A sink that hangs, panics or is slow costs itself events, and no other sink one.
func TestBusOfASinkInTrouble(t *testing.T) {
	for name, trouble := range map[string]struct {
		sink event.Sink
		log  string // what the log says of it
	}{
		"hangs":           {func(ctx context.Context, _ []event.Event) { <-ctx.Done() }, "not everything was told before the end"},
		"ignores the end": {func(context.Context, []event.Event) { time.Sleep(time.Hour) }, "not everything was told before the end"},
		"panics":          {func(context.Context, []event.Event) { panic("no such map") }, "err=\"no such map\""},
		"is slow":         {func(context.Context, []event.Event) { time.Sleep(time.Second) }, "events were lost, as their sink is too slow"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				var good taken
				bus := event.NewBus(slog.New(slog.NewTextHandler(&log, nil)), map[string]event.Sink{"bad": trouble.sink, "good": good.take})
				const sent = 3 * event.Room
				start := time.Now()
				for range sent {
					bus.Send(event.UnitHeld{Unit: "shop"})
					if len(good.units) == 0 {
						synctest.Wait() // until both sinks have begun
					}
				}
				if elapsed := time.Since(start); elapsed > 0 {
					t.Errorf("sending took %s, want no time", elapsed)
				}
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				bus.Close(ctx)
				if elapsed := time.Since(start); elapsed > 10*time.Second {
					t.Errorf("Close took %s, want at most 10s", elapsed)
				}
				if lost := sent - len(good.units); lost > sent-event.Room {
					t.Errorf("the other sink lost %d of %d events", lost, sent)
				}
				if !strings.Contains(log.String(), trouble.log) || !strings.Contains(log.String(), "sink=bad") {
					t.Errorf("the log lacks %q of the sink:\n%s", trouble.log, &log)
				}
				time.Sleep(2 * time.Hour) // until what was left behind has ended
			})
		})
	}
}

// What was sent arrives in its order, also what was sent just before the end.
func TestBusKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s taken
		bus := event.NewBus(slog.New(slog.DiscardHandler), map[string]event.Sink{"s": s.take})
		want := strings.Split("a b c d e f g h", " ")
		for i, unit := range want {
			bus.Send(event.UnitHeld{Unit: unit})
			if i%3 == 0 {
				synctest.Wait()
			}
		}
		bus.Close(t.Context())
		if got := strings.Join(s.units, " "); got != strings.Join(want, " ") {
			t.Errorf("took %q, want %q", got, want)
		}
	})
}

package tekton

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/result"
)

const (
	// tellWithin is how long ago a run ended at most whose end is told although nobody listened when it came.
	tellWithin = 24 * time.Hour
	// listenFor is how long one watch lasts at least, and at most twice as long. The next one goes on from there.
	listenFor = 5 * time.Minute
	// Pauses after a failure of the API server, each twice as long as the one before. The last is for what only a person can mend, such
	// as a right that is missing; that grows, too, as an authorizer that is down refuses everything for a moment.
	minEndsPause   = time.Second
	maxEndsPause   = time.Minute
	forbiddenPause = 10 * time.Minute
	// maxEvent bounds one event of a watch. Its annotations hold 256 KiB at most, of which JSON makes six times as much.
	maxEvent = 4 << 20
)

// errGone says that a watch cannot go on from where it was.
var errGone = errors.New("the API server does not remember the version any more")

// ends is Ends at work.
type ends struct {
	*Engine
	log  *slog.Logger
	told func(result.Result)

	noLogs, noEvents sync.Once
	mu               sync.Mutex
	// owed are the runs whose end was told and that are not marked, by name and UID: a name may come again.
	owed map[string]*ended
}

// ended is a run of whose end is told.
type ended struct {
	key     string
	uid     types.UID
	result  result.Result
	report  func() // hands it over where something is owed about it; may be nil
	told    bool
	refused bool // it takes no mark, for good
}

// Ends tells how the instance's runs end, also those that people made under its labels, until ctx ends. It begins with
// those of the last day that ended while nobody listened. A run whose end was told is in the history, has a Kubernetes
// Event, and is marked then: a Sentry that is killed in between tells it twice. Whoever may create PipelineRuns can make one of which it tells.
//
// One watch is all that an idle cluster costs. Trouble is logged as it begins and sat out.
func (e *Engine) Ends(ctx context.Context, log *slog.Logger, told func(result.Result)) {
	x := &ends{Engine: e, log: log, told: told, owed: map[string]*ended{}}
	wait, failing := minEndsPause, false
	for ctx.Err() == nil {
		err := x.listen(ctx, func() { wait, failing = minEndsPause, false })
		if ctx.Err() != nil {
			return
		}
		if !failing && !errors.Is(err, errGone) {
			log.Warn("it is not known how runs end; it is tried again", "err", err)
			failing = true
		}
		most := maxEndsPause
		if apierrors.IsForbidden(err) || errors.Is(err, errColumns) {
			most = forbiddenPause
		}
		_ = pause(ctx, wait)
		wait = min(2*wait, most)
	}
}

// listen tells of the ends that there were, and then of each that comes. It calls well whenever the watch works.
func (x *ends) listen(ctx context.Context, well func()) error {
	runs, version, err := x.listAt(ctx, "", func(r *listed) bool {
		return (!r.done() || r.recent()) && (r.done() && !r.told() || x.owes(r, r.done()))
	})
	if err != nil {
		return err
	}
	l, done := x.judge(ctx)
	defer done()
	for _, r := range runs {
		l.look(r)
	}
	for {
		if version, err = l.watch(l.ctx, version, well); err != nil {
			if l.ctx.Err() != nil {
				err = context.Cause(l.ctx)
			}
			return err
		}
	}
}

// watch tells of the ends after the version, until the API server ends the watch, and returns the version then.
func (l *judging) watch(ctx context.Context, version string, well func()) (string, error) {
	seconds := int64((listenFor + rand.N(listenFor)) / time.Second)
	watching, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+callTimeout)
	defer cancel()
	unanswered := time.AfterFunc(callTimeout, cancel) // a watch begins at once, however little there is to see
	body, err := l.cluster.Tekton.Get().Namespace(l.namespace).Resource(pipelineRuns).SetHeader("Accept", asTable).
		VersionedParams(&metav1.ListOptions{
			LabelSelector: l.selector(""), ResourceVersion: version, Watch: true, AllowWatchBookmarks: true, TimeoutSeconds: &seconds,
		}, metav1.ParameterCodec).Stream(watching)
	unanswered.Stop()
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return "", errGone
	}
	if err != nil {
		return "", fmt.Errorf("watch PipelineRuns in %s: %w", l.namespace, kube.Explain(err))
	}
	defer body.Close()
	var columns []column
	bounded := &io.LimitedReader{R: body, N: maxEvent}
	for events := json.NewDecoder(bounded); ; bounded.N = maxEvent {
		var event struct {
			Type   string `json:"type"`
			Object table  `json:"object"`
		}
		if err := events.Decode(&event); err != nil {
			if err := unreadable(err, bounded); err != nil {
				return "", fmt.Errorf("watch PipelineRuns in %s: %w", l.namespace, err)
			}
			// The server ended it, or what is between: the version is as good as ever.
			well()
			return version, pause(ctx, minEndsPause)
		}
		if event.Type == "ERROR" {
			return "", errGone
		}
		version = cmp.Or(event.Object.Metadata.ResourceVersion, version)
		if len(event.Object.Columns) > 0 {
			columns = event.Object.Columns
		}
		look := l.look
		switch event.Type {
		case "DELETED":
			look = l.gone
		case "ADDED", "MODIFIED":
		default:
			continue
		}
		runs, err := event.Object.runs(columns)
		if err != nil {
			return "", fmt.Errorf("watch PipelineRuns in %s: %w", l.namespace, err)
		}
		well()
		for _, r := range runs {
			look(r)
		}
	}
}

// unreadable tells of a watch that would meet the same again if it went on from there; nil where it merely ended.
func unreadable(err error, bounded *io.LimitedReader) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case bounded.N <= 0:
		return fmt.Errorf("an event has more than %d KiB", maxEvent>>10)
	case errors.As(err, &syntax), errors.As(err, &kind):
		return fmt.Errorf("the answer is none of an API server: %w", err)
	}
	return nil
}

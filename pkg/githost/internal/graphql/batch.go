package graphql

import (
	"errors"
	"slices"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

const (
	// firstSize is how many repositories one query asks for at first.
	firstSize = 50
	// MaxSize is how many it asks for once that has gone well. With a hundred branches each GitHub counts 10,000
	// nodes of the 500,000 that it allows, and one point.
	MaxSize = 100
	// parallel is how many queries are under way at once. GitHub allows a token 60 seconds of computing
	// time a minute for GraphQL; a query of a hundred repositories takes a second or so.
	parallel = 4
	// maxAlone is how many repositories in a row may be too much on their own before the server is
	// taken to be in trouble, and not the repositories.
	maxAlone = 2
)

// Batches finds out how many repositories a server answers in one query, and remembers it. The zero
// Batches is ready to use.
type Batches struct {
	mu   sync.Mutex
	size int // 0 = nothing asked yet
}

// Work is what Batches splits up. Items are named by a number that means something to the functions only.
type Work struct {
	// Take returns how many items from the start of queue one query can ask for, from 1 to size.
	Take func(queue []int, size int) int
	// Ask asks for a batch. A nil error means that each of the items was dealt with; one with ErrTooMuch
	// in its chain that fewer should be asked for; any other that the server is not to be asked on.
	Ask func(batch []int) error
	// Fail tells that items were given up for an error.
	Fail func(items []int, err *githost.Error)
}

// Run asks for all items, in order, up to four batches at once, and returns the error for which it gave up
// on the server, nil when it did not. The first batch goes alone, so that a server that refuses is asked
// once. Batches grow from 50 to 100 items while all goes well, and are halved when a query was too much;
// an item that is too much by itself has failed alone. Once two of those have failed and none was
// answered, the server is given up on.
func (b *Batches) Run(items []int, work Work) error {
	queue, width, alone, answered := items, 1, 0, false
	for len(queue) > 0 {
		size, round := b.current(), [][]int(nil)
		for len(round) < width && len(queue) > 0 {
			n := min(max(1, work.Take(queue, size)), len(queue), size)
			round, queue = append(round, queue[:n]), queue[n:]
		}
		var again []int
		var stop error
		width = parallel
		for i, err := range askAll(round, work.Ask) {
			batch := round[i]
			switch {
			case err == nil:
				answered = true
				b.grow(len(batch))
			case !errors.Is(err, ErrTooMuch):
				stop = err
				work.Fail(batch, cause(err))
			case len(batch) > 1:
				again = append(again, batch...)
				b.shrink(len(batch))
				width = 1
			default:
				work.Fail(batch, cause(err))
				if alone++; alone >= maxAlone && !answered {
					stop = err
				}
				width = 1
			}
		}
		queue = slices.Concat(again, queue)
		if stop != nil {
			work.Fail(queue, githost.NotAsked(cause(stop)))
			return stop
		}
	}
	return nil
}

func askAll(round [][]int, ask func([]int) error) []error {
	errs := make([]error, len(round))
	var asking sync.WaitGroup
	for i, batch := range round {
		asking.Go(func() { errs[i] = ask(batch) })
	}
	asking.Wait()
	return errs
}

func cause(err error) *githost.Error { return githost.WrapError("", err) }

func (b *Batches) current() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size == 0 {
		b.size = firstSize
	}
	return b.size
}

// grow doubles the size after a full batch; one that was not full shows nothing.
func (b *Batches) grow(answered int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if answered >= b.size {
		b.size = min(MaxSize, 2*b.size)
	}
}

func (b *Batches) shrink(refused int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.size = max(1, min(b.size, refused/2))
}

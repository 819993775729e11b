package githost

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxRoom is how many bytes the heads of all endpoints may take, beside roomOfOne for each repository: those of
	// 180,000 branches with names of 60 bytes, more than a state can hold.
	maxRoom = 32 << 20
	// minRoom is what an endpoint has of it at least, however many there are: two repositories of 5,000 such branches.
	minRoom = 2 << 20
	// roomOfOne is what each repository adds to its endpoint's room: that of eighty branches.
	roomOfOne = 16 << 10
	// headCost is what a head takes beside its branch's name: the SHA, two string headers, and its part of the map.
	headCost = 128
)

// Room is how much memory the heads of an endpoint may take in one call of the Reader. It follows from the
// configuration alone, so that no host can take the room of another one.
type Room struct {
	size int
	left atomic.Int64
}

// NewRoom returns the room of an endpoint with so many repositories, one of so many endpoints.
func NewRoom(endpoints, repositories int) *Room {
	r := &Room{size: max(minRoom, maxRoom/max(1, endpoints)) + roomOfOne*repositories}
	r.left.Store(int64(r.size))
	return r
}

// Size returns how many bytes there are in all.
func (r *Room) Size() int { return r.size }

// Take takes n bytes, and reports whether they were there.
func (r *Room) Take(n int) bool {
	if r.left.Add(int64(-n)) >= 0 {
		return true
	}
	r.Give(n)
	return false
}

// Give gives n bytes back. What is taken without asking is a gift of less than nothing.
func (r *Room) Give(n int) { r.left.Add(int64(n)) }

// Cost returns how many bytes the head of a branch takes, about.
func Cost(branch string) int { return headCost + len(branch) }

// SmallSpace is how many bytes each reading of commits may keep by itself: a thousand folders. It is next to every one.
const SmallSpace = 2 << 20

// maxTurn is how long one reading keeps the others waiting that want more than SmallSpace: large commits come within seconds.
const maxTurn = 20 * time.Second

var errSlowCommits = fmt.Errorf("a large commit did not come within %s, while others waited", maxTurn)

// Space bounds what readings of commits keep at once, of all endpoints. Each may keep SmallSpace, and one at a time more.
type Space struct {
	turn chan struct{} // of capacity one

	mu    sync.Mutex
	since time.Time   // when whoever has the turn got it
	end   func(error) // ends its reading; nil where nobody has it
}

// NewSpace returns a Space that nobody has.
func NewSpace() *Space { return &Space{turn: make(chan struct{}, 1)} }

// Enter waits until nobody else keeps more than SmallSpace, and has the others wait until leave is called. Who may not wait that long
// has asked for nothing: the error is an *Error that is Unsent. end is called with an *Error when others have waited for too long: no
// server may keep the turn by sending slowly.
func (s *Space) Enter(ctx context.Context, host string, end func(error)) (leave func(), err error) {
	overdue := time.NewTimer(s.overdue())
	defer overdue.Stop()
	for {
		select {
		case s.turn <- struct{}{}:
			s.take(func(why error) { end(NewError(Temporary, host, "%w", why)) })
			return func() { s.take(nil); <-s.turn }, nil
		case <-overdue.C:
			overdue.Reset(s.overdue())
		case <-ctx.Done():
			return nil, NotAsked(NewError(Temporary, host, "other large commits take the memory that there is for them"))
		}
	}
}

func (s *Space) take(end func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since, s.end = time.Now(), end
}

// overdue ends the reading that has had the turn for too long, and returns after what time to look again.
func (s *Space) overdue() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := maxTurn - time.Since(s.since)
	switch {
	case s.end == nil: // somebody is about to take it, or to leave
		return maxTurn
	case left > 0:
		return left
	}
	s.end(errSlowCommits)
	s.end = nil
	return maxTurn
}

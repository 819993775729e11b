package githost

import "sync/atomic"

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

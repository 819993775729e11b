package hook

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// perSource is how many requests a second are taken of one address, and perSourceBurst how many at once. Behind a proxy
	// all come from its address.
	perSource, perSourceBurst = 20, 200
	// inAll is the same for all together.
	inAll, inAllBurst = 50, 500
	// maxSources bounds the addresses that are remembered.
	maxSources = 1024
)

// limits bound the requests of each source, and of all.
type limits struct {
	mu      sync.Mutex
	all     *rate.Limiter
	sources map[netip.Prefix]*rate.Limiter
}

func newLimits() *limits {
	return &limits{all: rate.NewLimiter(inAll, inAllBurst), sources: map[netip.Prefix]*rate.Limiter{}}
}

// allow reports whether one more request of the address, host:port, is taken.
func (l *limits) allow(remote string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := network(remote)
	one := l.sources[from]
	if one == nil {
		if len(l.sources) >= maxSources {
			l.forget()
		}
		one = rate.NewLimiter(perSource, perSourceBurst)
		l.sources[from] = one
	}
	return one.Allow() && l.all.Allow()
}

// forget makes room: of who may send as if it were new, or else of all.
func (l *limits) forget() {
	for from, one := range l.sources {
		if one.Tokens() >= perSourceBurst {
			delete(l.sources, from)
		}
	}
	if len(l.sources) >= maxSources {
		clear(l.sources)
	}
}

// network returns who sends: an address of IPv4, or what one customer has of IPv6.
func network(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := at.Addr().Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits)
	return p
}

const (
	// remembered is how long a delivery is known, and maxDeliveries how many are.
	remembered    = time.Hour
	maxDeliveries = 10_000
)

// deliveries are those that came lately.
type deliveries struct {
	mu    sync.Mutex
	known map[[16]byte]bool
	order []delivery
}

type delivery struct {
	sum [16]byte
	at  time.Time
}

// repeated reports whether a delivery came before, and remembers it. One without an ID is always new.
func (d *deliveries) repeated(kind, id string) bool {
	if id == "" {
		return false
	}
	whole := sha256.Sum256([]byte(kind + " " + id))
	sum, now := [16]byte(whole[:16]), time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.order) > 0 && (len(d.order) >= maxDeliveries || now.Sub(d.order[0].at) > remembered) {
		delete(d.known, d.order[0].sum)
		d.order = d.order[1:]
	}
	if d.known[sum] {
		return true
	}
	if d.known == nil {
		d.known = map[[16]byte]bool{}
	}
	d.known[sum] = true
	d.order = append(d.order, delivery{sum, now})
	return false
}

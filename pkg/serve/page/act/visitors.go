package act

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

const (
	// remembered is how long it is remembered of a visitor what they may. What they do is decided by the API server each time.
	remembered = 30 * time.Second
	// troubled is how long views do without buttons for whom the cluster gave no answer about. What they do is asked for anew.
	troubled = 5 * time.Second
	// trusted is how long whom the cluster knew is asked about without a bound.
	trusted = time.Hour
	// maxRemembered bounds of how many, and of how many whom the cluster does not know.
	maxRemembered = 200
	// whoTime bounds the question.
	whoTime = 10 * time.Second
	// maxTries is how many tokens that the cluster has not known yet come from one address in a row, and one more comes each tryEvery.
	maxTries = 20
	tryEvery = 2 * time.Second
	// maxSources bounds the addresses that are told apart.
	maxSources = 500
)

// ErrNobody says that the cluster knows no such person, or lets them do nothing. Any other error is trouble, which goes away.
var ErrNobody = errors.New("the cluster does not know the token")

var errCrowd = errors.New("too many tokens that the cluster does not know came from your address: try again in a minute")

// visitors remembers for a moment what visitors may, without what they came with.
type visitors struct {
	now              func() time.Time
	turns, strangers chan struct{} // of those whom the cluster knew, and of all others
	mu               sync.Mutex
	all              map[string]remember // whom the cluster knows, or knew
	others           map[string]remember // who take no room of theirs
	tries            map[string]tries    // of others, by address
}

type remember struct {
	name  string
	may   Rights
	err   error
	until time.Time
	known time.Time // until when they are trusted
}

// tries are what is left, since when.
type tries struct {
	left  float64
	since time.Time
}

// someone is who asks, before it is known who that is.
type someone struct {
	id    string
	from  string // their address
	known bool   // the cluster knew them when the session began
	is    func() (Person, error)
}

// of returns a visitor. surely is for one who does something, who asks again where the cluster gave no answer a moment ago. Without it a
// remembered one has no Person, which takes clients of the cluster to make.
func (k *visitors) of(ctx context.Context, s someone, surely bool) (*Visitor, error) {
	now := k.now()
	k.mu.Lock()
	was, ok := k.all[s.id]
	if !ok {
		was = k.others[s.id]
	}
	s.known = s.known || now.Before(was.known)
	again := !now.Before(was.until) || surely && was.err != nil && !errors.Is(was.err, ErrNobody)
	refused := again && !s.known && !k.try(s.from, now)
	k.mu.Unlock()
	if refused {
		return nil, errCrowd
	}
	if !again && was.err != nil {
		return nil, was.err
	}
	var p Person
	if again || surely {
		var err error
		if p, err = s.is(); err != nil {
			return nil, err
		}
	}
	if again {
		if was = k.ask(ctx, p, s.known); ctx.Err() != nil {
			return nil, ctx.Err() // who asked has left, which says nothing
		}
		k.remember(s, was, now)
	}
	if was.err != nil {
		return nil, was.err
	}
	return &Visitor{Person: p, Name: was.name, May: was.may, id: s.id}, nil
}

// remember notes what was said of somebody.
func (k *visitors) remember(s someone, r remember, now time.Time) {
	r.until = now.Add(remembered)
	nobody := errors.Is(r.err, ErrNobody)
	if r.err == nil || !nobody && s.known {
		r.known = now.Add(trusted)
	}
	if r.err != nil && !nobody {
		r.until = now.Add(troubled)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.all, func(_ string, r remember) bool { return !now.Before(r.known) })
	maps.DeleteFunc(k.others, func(_ string, r remember) bool { return !now.Before(r.until) })
	if r.known.IsZero() {
		delete(k.all, s.id)
		if len(k.others) < maxRemembered {
			k.others[s.id] = r
		}
		return
	}
	delete(k.others, s.id)
	if _, there := k.all[s.id]; !there && len(k.all) >= maxRemembered {
		oldest := s.id
		for id, r := range k.all {
			if o, ok := k.all[oldest]; !ok || r.known.Before(o.known) {
				oldest = id
			}
		}
		delete(k.all, oldest)
	}
	k.all[s.id] = r
}

// try reports whether the cluster is asked about one more that it did not know yet.
func (k *visitors) try(from string, now time.Time) bool {
	t, ok := k.tries[from]
	if !ok {
		maps.DeleteFunc(k.tries, func(_ string, t tries) bool { return now.Sub(t.since) >= maxTries*tryEvery })
		if len(k.tries) >= maxSources {
			from = "" // all others together
			t, ok = k.tries[from]
		}
	}
	if !ok {
		t = tries{maxTries, now}
	}
	t.left = min(maxTries, t.left+float64(now.Sub(t.since))/float64(tryEvery))
	t.since = now
	may := t.left >= 1
	if may {
		t.left--
	}
	k.tries[from] = t
	return may
}

// enters asks about somebody who brings a token, to whom nothing is remembered.
func (k *visitors) enters(ctx context.Context, s someone) error {
	k.mu.Lock()
	may := k.try(s.from, k.now())
	k.mu.Unlock()
	if !may {
		return errCrowd
	}
	p, err := s.is()
	if err != nil {
		return err
	}
	return k.ask(ctx, p, false).err
}

// ask asks who somebody is, a few at a time.
func (k *visitors) ask(ctx context.Context, p Person, known bool) (r remember) {
	ctx, cancel := context.WithTimeout(ctx, whoTime)
	defer cancel()
	turns := k.strangers
	if known {
		turns = k.turns
	}
	select {
	case turns <- struct{}{}:
		defer func() { <-turns }()
	case <-ctx.Done():
		return remember{err: ctx.Err()}
	}
	r.name, r.may, r.err = p.Who(ctx)
	return r
}

// source is whose address a request comes from, as far as one person has it.
func source(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap(); ip.Is6() {
		if net, err := ip.WithZone("").Prefix(64); err == nil {
			return net.String()
		}
	}
	return ip.String()
}

package cli

import (
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// currency is what a host counts requests in.
type currency string

// GitHub counts GraphQL in points and all else of its API in requests. Git's own protocol is limited apart
// from the APIs, if at all.
const (
	points   currency = "graphql"
	requests currency = "api requests"
	git      currency = "git requests"
)

// usage is what was spent, by currency.
type usage map[currency]spent

// requests returns how many requests were sent, free or not.
func (u usage) requests() int {
	n := 0
	for _, s := range u {
		n += s.requests
	}
	return n
}

type spent struct {
	requests int
	counted  int // against the limit: points of GraphQL; for others requests, without those that are free
	limit    int // an hour, as the host told; 0 when it did not
}

// meter counts the requests of one account.
type meter struct {
	next    http.RoundTripper
	free304 bool // GitHub counts no 304 to a request with a credential

	mu    sync.Mutex
	spent usage
}

// take returns what was spent since the last call.
func (m *meter) take() usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.spent
	m.spent = nil
	return maps.Clone(s)
}

func (m *meter) add(c currency, more spent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.spent == nil {
		m.spent = make(usage)
	}
	s := m.spent[c]
	s.requests += more.requests
	s.counted += more.counted
	if more.limit > 0 {
		s.limit = more.limit
	}
	m.spent[c] = s
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the connections.
func (m *meter) CloseIdleConnections() {
	if c, ok := m.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (m *meter) RoundTrip(req *http.Request) (*http.Response, error) {
	c := currencyOf(req)
	resp, err := m.next.RoundTrip(req)
	if err != nil {
		m.add(c, spent{requests: 1, counted: 1})
		return nil, err
	}
	s := spent{requests: 1, counted: 1, limit: limitTold(resp.Header)}
	if resp.StatusCode == http.StatusNotModified && m.free304 {
		s.counted = 0
	}
	m.add(c, s)
	if c == points {
		// Every query costs at least the point that was added; its answer tells what it cost.
		resp.Body = &costs{ReadCloser: resp.Body, found: func(cost int) { m.add(c, spent{counted: cost - 1}) }}
	}
	return resp, nil
}

func currencyOf(req *http.Request) currency {
	switch path := req.URL.Path; {
	case strings.HasSuffix(path, "/graphql"):
		return points
	case strings.HasSuffix(path, "/git-upload-pack"), strings.HasSuffix(path, "/info/refs"):
		return git
	}
	return requests
}

// limitTold returns the requests or points an hour that GitHub, or those a minute that GitLab, tells of.
func limitTold(h http.Header) int {
	if n, err := strconv.Atoi(h.Get("X-RateLimit-Limit")); err == nil && n > 0 {
		return n
	}
	if n, err := strconv.Atoi(h.Get("RateLimit-Limit")); err == nil && n > 0 && n < 1<<24 {
		return n * 60
	}
	return 0
}

// costs finds the price that GitHub's GraphQL answers tell, "rateLimit":{"cost":1, as the answer is read.
// Inside of a JSON string its quotes would be escaped, so that no branch's name can pass for it.
type costs struct {
	io.ReadCloser
	found func(cost int)
	tail  []byte // of what was read, where a match may have begun
	done  bool
}

var cost = regexp.MustCompile(`[{,]\s*"cost":\s*([0-9]{1,6})\s*[,}]`)

// Read implements io.Reader.
func (c *costs) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.done {
		return n, err
	}
	text := slices.Concat(c.tail, p[:n])
	if m := cost.FindSubmatch(text); m != nil {
		price, _ := strconv.Atoi(string(m[1])) // six digits
		c.found(max(price, 1))
		c.done, c.tail = true, nil
		return n, err
	}
	const longest = 64
	c.tail = append(c.tail[:0], text[max(0, len(text)-longest):]...)
	return n, err
}

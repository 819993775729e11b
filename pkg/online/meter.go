package online

import (
	"net/http"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

// usage is what was spent, by the index of the budget in the driver.
type usage map[int]spent

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
	counted  int // against the limit, without requests that are free
	limit    int // an hour, as the host told; 0 when it did not
}

// meter counts the requests of one account.
type meter struct {
	next   http.RoundTripper
	driver *githost.Driver
	token  bool // there is one

	mu    sync.Mutex
	spent usage
}

// take returns what was spent since the last call.
func (m *meter) take() usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.spent
	m.spent = nil
	return s
}

func (m *meter) add(budget int, more spent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.spent == nil {
		m.spent = make(usage)
	}
	s := m.spent[budget]
	s.requests += more.requests
	s.counted += more.counted
	if more.limit > 0 {
		s.limit = more.limit
	}
	m.spent[budget] = s
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the connections.
func (m *meter) CloseIdleConnections() {
	if c, ok := m.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (m *meter) RoundTrip(req *http.Request) (*http.Response, error) {
	i := m.budgetOf(req)
	budget := &m.driver.Budgets[i]
	resp, err := m.next.RoundTrip(req)
	if err != nil {
		m.add(i, spent{requests: 1, counted: 1})
		return nil, err
	}
	s := spent{requests: 1, counted: 1}
	if budget.Told != nil {
		s.limit = budget.Told(resp.Header)
	}
	if resp.StatusCode == http.StatusNotModified && budget.Free304 && m.token {
		s.counted = 0
	}
	m.add(i, s)
	return resp, nil
}

// budgetOf returns the index of the budget that a request draws on.
func (m *meter) budgetOf(req *http.Request) int {
	rest := 0
	for i, b := range m.driver.Budgets {
		switch {
		case b.Draws == nil:
			rest = i
		case b.Draws(req):
			return i
		}
	}
	return rest
}

// bill adds what an answer says that its request cost, beyond the one that RoundTrip added. A cost that no host has is
// none.
func (m *meter) bill(b githost.Bill) {
	const most = 1_000_000
	for i, budget := range m.driver.Budgets {
		if budget.Resource != "" && budget.Resource == b.Resource && 1 < b.Cost && b.Cost < most {
			m.add(i, spent{counted: b.Cost - 1})
		}
	}
}

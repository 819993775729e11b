package github

import (
	"errors"
	"io"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
)

// Driver is GitHub.
var Driver = githost.Driver{
	Host: config.Host{
		Type:      config.GitHub,
		Domains:   []string{"github.com", ".ghe.com"},
		Aliases:   map[string]string{"www.github.com": "github.com"},
		CheckPath: checkPath,
	},
	Open:       Open,
	TokenAlone: true,
	// Points of GraphQL and requests of all else are counted apart.
	Budgets: []githost.Budget{
		{
			Unit:  "points",
			Draws: func(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, "/graphql") },
			// https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
			Limit: func(bool) int { return 5_000 },
			Told:  limitTold,
			Price: func(body io.ReadCloser, found func(int)) io.ReadCloser {
				return &priced{ReadCloser: body, found: found}
			},
			Sweep: sweep,
		},
		{Unit: "api requests", Limit: requestLimit, Told: limitTold, Free304: true},
	},
	About: githost.About{
		Servers:    "GitHub and GitHub Enterprise",
		API:        "`https://api.github.com`, `https://api.NAME.ghe.com`, `https://HOST/api/v3`",
		Credential: "`Authorization: Bearer`, the token alone",
	},
}

func checkPath(path string) error {
	if strings.Count(path, "/") != 2 {
		return errors.New("is not of the form https://HOST/OWNER/REPOSITORY, as on GitHub; want that, without what follows the repository's name")
	}
	return nil
}

// requestLimit is what https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api says.
func requestLimit(token bool) int {
	if token {
		return 5_000
	}
	return 60
}

func limitTold(h http.Header) int {
	n, _ := strconv.Atoi(h.Get("X-RateLimit-Limit")) // 0 when it is none
	return max(n, 0)
}

// sweep is in whole queries: the part of a cycle is one at least, in the cycles that have one.
func sweep(s githost.Sweep) float64 {
	return min(s.Cycles, float64(s.Repositories)*s.Sweeps) * math.Ceil(s.All*s.Sweeps/s.Cycles)
}

// priced finds the price that an answer of GraphQL tells, "rateLimit":{"cost":1, as the answer is read.
// Inside of a JSON string its quotes would be escaped, so that no branch's name can pass for it.
type priced struct {
	io.ReadCloser
	found func(price int)
	tail  []byte // of what was read, where a match may have begun
	done  bool
}

var cost = regexp.MustCompile(`[{,]\s*"cost":\s*([0-9]{1,6})\s*[,}]`)

// Read implements io.Reader.
func (p *priced) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	if p.done {
		return n, err
	}
	text := slices.Concat(p.tail, b[:n])
	if m := cost.FindSubmatch(text); m != nil {
		price, _ := strconv.Atoi(string(m[1])) // six digits
		p.found(max(price, 1))
		p.done, p.tail = true, nil
		return n, err
	}
	const longest = 64
	p.tail = append(p.tail[:0], text[max(0, len(text)-longest):]...)
	return n, err
}

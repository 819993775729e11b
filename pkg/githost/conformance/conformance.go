// Package conformance is what every kind of Git host promises, as tests. A kind runs them in its own folder:
//
//	func TestConformance(t *testing.T) { conformance.Test(t, host) }
//
// A testhost.Host says how its test server is made and what it can do. What only one kind does is tested beside it.
//
// The list of promises is here, with the tests of one answer and one batch. Package truth has those of a Reader while
// all is well, and package hours those of a Reader in trouble.
package conformance

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/conformance/hours"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/truth"
)

// promises are what is tested, from one answer of a host to hours of reading it.
var promises = []struct {
	name string
	keep func(*testing.T, testhost.Host)
}{
	// One answer.
	{"heads or the reason why not", headsOrAReason},
	{"names that mean something elsewhere", hostileNames},
	{"asks at the address that follows from the URLs", addresses},
	{"asks for no more than it needs", requests},
	{"refuses what cannot work", refusals},
	{"an answer that is broken", faults},
	{"half of an answer", cutShort},
	{"an answer that lies", lies},
	{"an answer that repeats the credential", echoes},
	{"a redirect to another server", redirects},
	{"pages without an end", endlessPages},
	{"an answer that goes on for ever", endlessAnswers},
	{"an answer that is large", wideAnswers},
	{"an answer that drips", drippingAnswers},
	{"a server that hangs", hanging},
	{"the deadline has its own words", deadline},

	// One batch.
	{"one repository's trouble is its own", manyRepositories},
	{"at most eight requests at once", parallel},
	{"a limit ends the batch", stopsWhenLimited},
	{"a limit that is told in words", limitsInWords},
	{"can be interrupted", interrupted},
	{"smaller queries where large ones fail", asksForLess},

	// A Reader.
	{"tells the truth", truth.Told},
	{"GraphQL tells the truth", truth.ToldByGraphQL},
	{"tells which requests are open", truth.Requests},
	{"an idle cycle is cheap", truth.IdleCycles},
	{"hints survive a look at others", truth.HintsSurvive},
	{"glances name what is pushed to", hours.Glances},

	// A Reader in trouble, for hours.
	{"an outage of an hour", hours.Outages},
	{"maintenance in the middle of a cycle", hours.Maintenance},
	{"one repository that is to wait", hours.RepositoryToWait},
	{"one repository that makes no sense", hours.RepositoryWithoutSense},
	{"probes take turns", hours.ProbesTakeTurns},
	{"a slow host is read in turns", hours.SlowHost},
	{"a limit without a time", hours.LimitsWithoutATime},
	{"a token that is refused", hours.RefusedToken},
	{"nobody listens", hours.NobodyListens},
	{"GraphQL is looked for again", hours.GraphQLIsLookedFor},
	{"GraphQL goes away", hours.GraphQLGoesAway},
}

// Test tests all that a host promises. A promise about what it cannot do is left out.
func Test(t *testing.T, h testhost.Host) {
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) { p.keep(t, h) })
	}
}

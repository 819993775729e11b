package owned

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
)

// Numbered returns which page the cursor of a list with numbered pages means, and how many repositories the pages before it have.
func Numbered(cursor string) (page, before int) {
	page = 1
	_, _ = fmt.Sscanf(cursor, "%d %d", &page, &before) // none is the first page
	return page, before
}

// Following returns the cursor of the page after one with so many items, "" when that is the last. It goes by how many there are in
// all, as a page may be shorter than was asked for.
func Following(page, before, items, total int) string {
	if items == 0 || before+items >= total {
		return ""
	}
	return fmt.Sprintf("%d %d", page+1, before+items)
}

// Number returns a number that is not negative as it is written, and -1 for what is none.
func Number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// Date returns when an answer was made, by the server's clock; zero when it does not say.
func Date(h http.Header) time.Time {
	t, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t
}

// ReadTopics reads a list of topics, of which it keeps MaxTopics, and sorts them. A topic that is longer than MaxText is none.
func ReadTopics(v *jsonstream.Reader) (all []string) {
	for range v.Items() {
		all = AddTopic(all, v.Text())
	}
	slices.Sort(all)
	return all
}

// AddTopic adds a topic, if there is room for it.
func AddTopic(all []string, topic string) []string {
	if len(all) == MaxTopics || topic == "" || len(topic) > MaxText {
		return all
	}
	return append(all, strings.Clone(topic))
}

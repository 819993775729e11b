package report

import (
	"strings"
	"time"
	"unicode"

	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// Message is what a webhook is told, as JSON, and what is in the data of a CloudEvent.
type Message struct {
	ID        string          `json:"id"`   // the same when it comes again
	Text      string          `json:"text"` // for people
	Run       string          `json:"run"`  // name of the PipelineRun
	Namespace string          `json:"namespace"`
	Unit      string          `json:"unit"` // the group, or repository and branch
	Verdict   result.Verdict  `json:"verdict"`
	Recovered bool            `json:"recovered"` // it succeeded, and the run of the unit before it had failed
	Why       string          `json:"why,omitempty"`
	Created   time.Time       `json:"created"`
	Seconds   int             `json:"seconds"` // from its creation to its end
	URL       string          `json:"url,omitempty"`
	Manual    bool            `json:"manual,omitempty"` // a person asked for it
	Members   []MessageMember `json:"members"`
}

// MessageMember is one deployment of a Message.
type MessageMember struct {
	Task       string         `json:"task"`
	Repository string         `json:"repository"`
	Branch     string         `json:"branch"`
	SHA        repo.SHA       `json:"sha"`
	Verdict    result.Verdict `json:"verdict"`
	Why        string         `json:"why,omitempty"`
	Seconds    int            `json:"seconds,omitempty"`
}

// message returns what the delivery says. What commands printed is not in it: that may hold a secret that only they know.
func (d Delivery) message() Message {
	f, r := d.Facts, d.Facts.Result
	m := Message{
		ID: d.ID(), Text: textOf(f), Run: f.Run, Namespace: f.Namespace, Unit: f.Unit, Verdict: r.Verdict, Recovered: f.Recovered,
		Why: r.Why, Created: f.Created.UTC(), Seconds: r.Seconds, URL: d.Leads, Manual: r.Manual, Members: []MessageMember{},
	}
	ends := endings(f)
	for _, p := range f.Members {
		end := ends[p.Task]
		m.Members = append(m.Members, MessageMember{p.Task, p.Repository, p.Branch, p.SHA, end.Verdict, end.Why, end.Seconds})
	}
	return m
}

// cloudEvent is an event in the structured mode of CloudEvents 1.0.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
type cloudEvent struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Subject     string    `json:"subject"`
	Time        time.Time `json:"time"`
	ContentType string    `json:"datacontenttype"`
	Data        Message   `json:"data"`
}

// eventType is the type of every CloudEvent, which ends in the verdict.
const eventType = "dev.tekton-sentry.run."

// unseen is a character without a width. A chat shows what it parts as it is, and makes nothing of it.
const unseen = "\u200b"

// markup is what chats take for markup, in texts of others. Slack has links and <!here> between < and >, and Mattermost and others take
// Markdown's links and addresses. https://docs.slack.dev/messaging/formatting-message-text#escaping
var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "](", "]"+unseen+"(", "://", ":"+unseen+"//")

// plain returns a text of others as a chat shows it: by a branch's name, nobody is called and nothing leads anywhere.
func plain(text string) string {
	var b strings.Builder
	before := ' '
	for _, r := range markup.Replace(text) {
		b.WriteRune(r)
		// A letter before it, as in repository@branch, calls nobody.
		if r == '@' && before != '_' && !unicode.IsLetter(before) && !unicode.IsDigit(before) {
			b.WriteString(unseen)
		}
		before = r
	}
	return b.String()
}

// Body returns the body of a notification and its Content-Type.
func (d Delivery) Body() (contentType, body string, err error) {
	m := d.message()
	switch d.Kind {
	case Slack:
		text := plain(m.Text)
		if m.URL != "" {
			text += "\n" + m.URL
		}
		body, err = oneline.JSON(map[string]string{"text": text})
		return "application/json", body, err
	case CloudEvents:
		e := cloudEvent{
			SpecVersion: "1.0", ID: m.ID, Source: "/sentry/" + m.Namespace, Type: eventType + strings.ReplaceAll(string(m.Verdict), " ", "-"),
			Subject: m.Unit, Time: m.Created.Add(time.Duration(m.Seconds) * time.Second), ContentType: "application/json", Data: m,
		}
		body, err = oneline.JSON(e)
		return "application/cloudevents+json; charset=utf-8", body, err
	}
	body, err = oneline.JSON(m)
	return "application/json", body, err
}

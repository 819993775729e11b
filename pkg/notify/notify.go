// Package notify tells a repository's webhook_url that a run was created for it.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan"
)

// timeout of one notification: a receiver that hangs must not hold up the polling.
const timeout = 5 * time.Second

// Message is the JSON body of the POST. Text makes it an incoming message for the chats that take
// {"text": …}: Slack, Mattermost, Rocket.Chat, Google Chat.
type Message struct {
	Text string        `json:"text"`
	Run  string        `json:"run"`  // name of the PipelineRun
	Unit string        `json:"unit"` // the group, or repository and branch
	Refs []plan.Change `json:"refs"` // what changed
}

// NewClient returns the client for notifications. It follows no redirect: what a receiver answers is not
// worth a request to somewhere that nobody configured.
func NewClient() *http.Client {
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Created POSTs to each webhook of the run's members once. Errors name the host only: a webhook's URL is
// commonly a secret by itself.
func Created(ctx context.Context, client *http.Client, run plan.Run) []error {
	body, err := json.Marshal(Message{
		Text: fmt.Sprintf("Sentry created %s for %s", run.Name, run.Unit.Label),
		Run:  run.Name, Unit: run.Unit.Label, Refs: run.Trigger.Refs,
	})
	if err != nil {
		return []error{fmt.Errorf("encode the notification of %s: %w", run.Name, err)}
	}
	var errs []error
	told := map[string]bool{"": true}
	for _, m := range run.Members {
		target := m.Repository.WebhookURL.Reveal()
		if told[target] {
			continue
		}
		told[target] = true
		if err := post(ctx, client, target, body); err != nil {
			errs = append(errs, fmt.Errorf("notify the webhook_url of repository %s: %w", m.Repository.Name, err))
		}
	}
	return errs
}

func post(ctx context.Context, client *http.Client, target string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("it is not a URL")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		// A url.Error quotes the whole URL.
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return fmt.Errorf("%s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4096) // a short answer read to its end keeps the connection
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s answered %s", req.URL.Host, resp.Status)
	}
	return nil
}

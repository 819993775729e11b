// Package notify tells a repository's webhook_url that a run was created for it.
package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

const (
	// timeout is that of one notification, allTimeout that of all runs that were created meanwhile: receivers
	// that hang must not keep the others from being told.
	timeout    = 5 * time.Second
	allTimeout = 10 * time.Second
	// atOnce is how many are sent at the same time.
	atOnce = 16
)

// Message is the JSON body of the POST. Text makes it an incoming message for the chats that take
// {"text": …}: Slack, Mattermost, Rocket.Chat, Google Chat.
type Message struct {
	Text string        `json:"text"`
	Run  string        `json:"run"`  // name of the PipelineRun
	Unit string        `json:"unit"` // the group, or repository and branch
	Refs []plan.Change `json:"refs"` // what changed
}

// NewClient returns the client for notifications, which go out by base. timeout bounds each with its answer. It follows no redirect:
// what a receiver answers is not worth a request to somewhere that nobody configured.
func NewClient(base http.RoundTripper, timeout time.Duration) *http.Client {
	return &http.Client{
		Transport:     base,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Sink returns the sink that POSTs each run which was created. The log is told of what a receiver did not take.
func Sink(log *slog.Logger, base http.RoundTripper) event.Sink {
	client := NewClient(base, timeout)
	return func(ctx context.Context, events []event.Event) {
		var runs []plan.Run
		for _, e := range events {
			if created, ok := e.(event.RunCreated); ok {
				runs = append(runs, created.Run)
			}
		}
		if err := Created(ctx, log, client, runs); err != nil {
			log.Warn("a webhook was not told", "err", err)
		}
	}
}

// Created POSTs each run to each webhook of its members once, some at a time and all of a call within ten seconds: what
// is not told by then is an error, and the log is told of the others. Errors name the host and nothing that it said: a webhook's URL is commonly a secret
// by itself, and receivers repeat it.
func Created(ctx context.Context, log *slog.Logger, client *http.Client, runs []plan.Run) error {
	ctx, cancel := context.WithTimeout(ctx, allTimeout)
	defer cancel()
	type message struct {
		target, repository, run string
		body                    []byte
	}
	var messages []message
	for _, run := range runs {
		body, err := json.Marshal(Message{
			Text: fmt.Sprintf("Sentry created %s for %s", run.Name, run.Unit.Label),
			Run:  run.Name, Unit: run.Unit.Label, Refs: run.Trigger.Refs,
		})
		if err != nil {
			return fmt.Errorf("encode the notification of %s: %w", run.Name, err)
		}
		told := map[string]bool{"": true}
		for _, m := range run.Members {
			if target := m.Repository.WebhookURL.Reveal(); !told[target] {
				told[target] = true
				messages = append(messages, message{target, m.Repository.Name, run.Name, body})
			}
		}
	}
	errs := make([]error, len(messages))
	turn := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for i, m := range messages {
		turn <- struct{}{}
		wait.Go(func() {
			defer func() { <-turn }()
			host, err := post(ctx, client, m.target, m.body)
			if err != nil {
				errs[i] = fmt.Errorf("notify the webhook_url of repository %s: %w", m.repository, err)
				return
			}
			log.Info("reported a run", append([]any{"kind", "webhook_url", "repo", m.repository, "run", m.run, "host", host},
				audit.By{Cause: audit.Run}.Attrs(audit.Reported)...)...)
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// post returns the host of the target, which is no secret.
func post(ctx context.Context, client *http.Client, target string, body []byte) (host string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("it is not a URL")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%s: %s", req.URL.Host, Explain(err))
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4096) // a short answer read to its end keeps the connection
	if resp.StatusCode >= 300 {
		return "", fmt.Errorf("%s answered %d", req.URL.Host, resp.StatusCode)
	}
	return req.URL.Host, nil
}

// Explain says why there is no answer, in words of this machine: what a receiver or a proxy sent is in no error of the
// network below HTTP, and most others quote it.
func Explain(err error) string {
	var (
		timeout net.Error
		network *net.OpError
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted before it answered"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, &cert):
		return "its certificate is not accepted: is its authority in global.ca?"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS at this port: is the URL an http:// one?"
	case errors.As(err, &network):
		return network.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it ended the connection without an answer"
	}
	return "what it or a proxy answered is no HTTP (it is not shown, as it may hold the URL)"
}

module github.com/tekton-sentry/sentry/examples/strategies

go 1.24

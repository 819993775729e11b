# Run `make help`. CI (.ci/run) calls only targets of this file.
SHELL       := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE    ?= ghcr.io/tekton-sentry/sentry:$(VERSION)
FUZZTIME ?= 1m
SEEDS    ?= 100000
KILLS    ?= 200
# How many tests share the cluster: they wait for pods more than they work, but pods need processors.
E2E_PARALLEL ?= 3
LDFLAGS  := -s -w -X github.com/tekton-sentry/sentry/pkg/cli.version=$(VERSION)
GO       ?= go
# The traces that gRPC has for its own pages are not in: see docs/decisions/143-html-without-reflection.md.
TAGS     := grpcnotrace
# All but test/e2e, which needs a cluster.
PACKAGES := ./cmd/... ./pkg/... ./tekton/... ./test/bench/... ./test/demo/... ./test/docs/... ./test/exhaustion/... ./test/gitserver/... ./test/model/... ./test/mutants/... ./test/scenarios/... ./test/tutorial/...

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/sentry, static
	CGO_ENABLED=0 $(GO) build -tags $(TAGS) -trimpath -ldflags '$(LDFLAGS)' -o bin/sentry ./cmd/sentry

PREFIX ?= $(HOME)/.local
.PHONY: install
install: build ## bin/sentry into PREFIX/bin (default ~/.local), also as a plugin of tkn and of kubectl
	mkdir -p $(DESTDIR)$(PREFIX)/bin
	install -m 755 bin/sentry $(DESTDIR)$(PREFIX)/bin/sentry
	for name in tkn-sentry kubectl-sentry kubectl_complete-sentry; do ln -sf sentry $(DESTDIR)$(PREFIX)/bin/$$name; done

.PHONY: test
test: ## all tests that need no root and no cluster
	$(GO) test $(PACKAGES)
	cd hack && $(GO) test -skip '^TestTwoClones$$' ./... # release-check has that
	cd hack/chart && $(GO) test ./...

.PHONY: race
race: ## the same with the race detector
	$(GO) test -race $(PACKAGES)

.PHONY: model
model: ## SEEDS (100,000) random histories of pushes, faults and crashes: never lost, never twice
	$(GO) test ./test/model -run 'TestModel$$' -seeds $(SEEDS) -v -timeout 30m

.PHONY: mutants
mutants: ## build faults in, each by itself: a test must notice each. PART=2/3 is every third, from the second on
	$(GO) run ./test/mutants $(if $(PART),-part $(PART))

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (default 1m), one on each processor
	@GO=$(GO) test/fuzz.sh $(FUZZTIME)

.PHONY: monitoring
monitoring: build ## the alert rules and the dashboard, in a real Prometheus that scrapes a real Sentry
	$(GO) test -count=1 ./test/monitoring

.PHONY: browser
browser: ## the page in Chromium, with axe-core; SENTRY_SCREENSHOTS=DIR keeps pictures of all views
	cd test/browser && $(GO) vet ./... && $(GO) test -count=1 ./...

.PHONY: bench
bench: ## what cycles cost, beside other ways of polling: the tables of docs/performance.md
	@mkdir -p bin
	@$(GO) build -o bin/bench ./test/bench
	@bin/bench $(BENCHFLAGS)
	@$(GO) test ./pkg/githost/gitproto -run '^$$' -bench OverSSH -benchtime 3x

.PHONY: demo
demo: build ## see a commit become a deployment on this machine; needs Go, git and sh
	@$(GO) run ./test/demo bin/sentry

bin/helm: hack/chart/go.mod hack/chart/go.sum
	cd hack/chart && $(GO) build -o ../../bin/helm helm.sh/helm/v3/cmd/helm

.PHONY: e2e
e2e: build bin/helm cluster-up ## make a real cluster, run the end-to-end tests in it, take it down
	@trap 'test/cluster/down.sh' EXIT; \
	set -a; . "$$(test/cluster/up.sh --print-env)"; set +a; \
	$(GO) test -count=1 -timeout 75m -parallel $(E2E_PARALLEL) -v ./test/e2e/...

.PHONY: soak
soak: build cluster-up ## kill Sentry KILLS times (default 200) in a real cluster, and account for every commit
	@trap 'test/cluster/down.sh' EXIT; \
	set -a; . "$$(test/cluster/up.sh --print-env)"; set +a; \
	SENTRY_SOAK_KILLS=$(KILLS) $(GO) test -count=1 -timeout 120m -v ./test/e2e -run 'TestSoak|TestTwoSentrys'

.PHONY: exhaustion
exhaustion: build ## each fault at each request of each state of a unit, to a real API server and a Git host; about 20 minutes
	@[ -x "$${SENTRY_CLUSTER_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/sentry-cluster}/bin/kubernetes-kube-apiserver" ] || test/cluster/build.sh etcd kubernetes
	@$(GO) run ./test/exhaustion $(EXHAUSTIONFLAGS)

.PHONY: cluster-programs
cluster-programs: bin/helm ## build what the cluster is made of, and keep it; cluster-up does so too
	test/cluster/up.sh --programs

.PHONY: cluster-up
cluster-up: ## a cluster with Tekton and Gitea on this machine, without Docker; needs root
	test/cluster/up.sh

.PHONY: cluster-down
cluster-down: ## end it
	test/cluster/down.sh

.PHONY: kind-up
kind-up: ## the same with kind, on a machine with Docker
	test/cluster/kind-up.sh

.PHONY: kind-down
kind-down: ## end it
	test/cluster/kind-down.sh

.PHONY: image
image: build ## dist/sentry.tar: the container image, made without Docker; PUSH=1 pushes it
	@mkdir -p dist
	cd hack && $(GO) build -o ../bin/mkimage ./mkimage
	bin/mkimage -tag $(IMAGE) -o dist/sentry.tar -user 65532:65532 -entrypoint /sentry $(if $(PUSH),-push) \
	  bin/sentry:/sentry /etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt

bin/chart: hack/chart/go.mod hack/chart/go.sum $(wildcard hack/chart/*.go) $(shell find hack/chart/files -type f)
	cd hack/chart && $(GO) build -o ../../bin/chart .

.PHONY: chart
chart: bin/chart ## charts/sentry, the Helm chart, from manifests
	bin/chart generate

.PHONY: dist
dist: chart ## dist/install*.yaml and the chart as an archive, of VERSION with IMAGE
	bin/chart dist -image $(IMAGE) -version $(VERSION)

# What a release has binaries for. KEY signs it, SOURCE is where it will be, BUILDER is who makes it: see docs/releasing.md.
PLATFORMS ?= linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64
SOURCE    ?= https://github.com/tekton-sentry/sentry
CHARTS    ?= $(patsubst %/,%,$(dir $(IMAGE)))/charts/sentry

# The bill of materials names this program by its checksum, so that it must be the same everywhere.
bin/cyclonedx-gomod: hack/sbom/go.mod hack/sbom/go.sum
	cd hack/sbom && $(GO) build -trimpath -buildvcs=false -o ../../bin/cyclonedx-gomod github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

.PHONY: release
release: bin/chart bin/cyclonedx-gomod ## dist: all files of a release of the commit that is checked out; KEY=file signs it
	cd hack && $(GO) build -o ../bin/release ./release
	bin/release -version $(VERSION) -image $(IMAGE) -source $(SOURCE) -platforms $(PLATFORMS) $(if $(KEY),-key $(KEY)) $(if $(BUILDER),-builder $(BUILDER))

.PHONY: release-push
release-push: ## the image and the chart of dist to their registries; logs in as your docker config says
	cd hack && $(GO) build -o ../bin/mkimage ./mkimage
	bin/mkimage -push -tag $(IMAGE) -from dist/sentry_$(VERSION)_image.tar
	bin/mkimage -push -tag $(CHARTS):$(patsubst v%,%,$(VERSION)) -from dist/sentry_$(VERSION)_chart.tar

.PHONY: release-check
release-check: ## releases from two clones, for PLATFORMS: each file must be the same, byte for byte
	cd hack && $(GO) test -count=1 -timeout 30m -v ./release -run 'TestTwoClones$$' -platforms $(PLATFORMS)

.PHONY: workflows
workflows: bin/actionlint ## check the workflows of GitHub Actions
	bin/actionlint -color

bin/actionlint: hack/actionlint/go.mod hack/actionlint/go.sum
	cd hack/actionlint && $(GO) build -o ../../bin/actionlint github.com/rhysd/actionlint/cmd/actionlint

.PHONY: lint
# The linter's own cache is shared by all checkouts of a machine and reports the paths of another one.
lint: bin/golangci-lint workflows templates-check ## vet, format and lint
	GOLANGCI_LINT_CACHE=$(CURDIR)/bin/lint-cache bin/golangci-lint run ./...

bin/golangci-lint: hack/lint/go.mod hack/lint/go.sum
	cd hack/lint && $(GO) build -o ../../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: fmt
fmt: bin/golangci-lint ## format the code
	bin/golangci-lint fmt ./...

bin/templ: hack/templ/go.mod hack/templ/go.sum
	cd hack/templ && $(GO) build -o ../../bin/templ github.com/a-h/templ/cmd/templ

VIEWS := pkg/serve/page/view
.PHONY: templates
templates: bin/templ ## the Go code of the page's templates
	bin/templ fmt $(VIEWS)
	bin/templ generate -path $(VIEWS)

.PHONY: templates-check
templates-check: bin/templ # the code is that of the templates
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; cp $(VIEWS)/*.templ "$$dir"; bin/templ generate -path "$$dir" >"$$dir/log" 2>&1 || { cat "$$dir/log"; exit 1; }; \
	for file in "$$dir"/*_templ.go; do diff -u "$(VIEWS)/$${file##*/}" "$$file" || { echo "run: make templates"; exit 1; }; done

.PHONY: generate
generate: chart templates ## write what is generated: goldens, docs/cli.md, the OpenAPI document, the page's templates and the Helm chart
	$(GO) test ./pkg/pipelinerun ./pkg/cli ./pkg/watch ./pkg/serve/page/api -update

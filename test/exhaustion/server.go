package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// token is the administrator's at the API server, which listens on loopback and lives as long as this program.
const token = "of-the-test"

// server is a real API server with an etcd of its own, which knows Tekton's kinds. Nothing runs what is created there.
type server struct {
	base    string
	forward http.Handler
	client  *http.Client
	ended   []func()
}

// startServer starts it in a directory, from the programs of the test cluster.
func startServer(ctx context.Context, dir, programs string) (s *server, err error) {
	s = &server{client: &http.Client{Timeout: time.Minute, Transport: toServer()}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	etcd, peer := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	if err := s.start(dir, filepath.Join(programs, "etcd-server"), "--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", etcd, "--advertise-client-urls", etcd, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer); err != nil {
		return nil, err
	}
	key, tokens := filepath.Join(dir, "service-account.key"), filepath.Join(dir, "tokens.csv")
	if err := errors.Join(writeKey(key), os.WriteFile(tokens, []byte(token+",admin,admin,system:masters\n"), 0o600)); err != nil {
		return nil, err
	}
	s.base = "https://127.0.0.1:" + ports[2]
	if err := s.start(dir, filepath.Join(programs, "kubernetes-kube-apiserver"), "--etcd-servers", etcd, "--bind-address", "127.0.0.1", "--secure-port", ports[2],
		"--cert-dir", filepath.Join(dir, "certificates"), "--token-auth-file", tokens, "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.0.0.0/24",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", key, "--service-account-signing-key-file", key,
		"--enable-priority-and-fairness=false", "--max-requests-inflight", "0", "--max-mutating-requests-inflight", "0"); err != nil {
		return nil, err
	}
	to := mustURL(s.base)
	s.forward = &httputil.ReverseProxy{
		Transport: toServer(), FlushInterval: -1,
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	if err := await(ctx, 2*time.Minute, "the API server", func() bool {
		code, _, err := s.do(ctx, http.MethodGet, "/readyz", "", nil)
		return err == nil && code == http.StatusOK
	}); err != nil {
		return nil, err
	}
	return s, s.addTekton(ctx)
}

func toServer() *http.Transport {
	return &http.Transport{
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // it is ours, on loopback
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 100,
	}
}

// start starts a program, which ends when the server is closed.
func (s *server) start(dir, program string, args ...string) error {
	log, err := os.Create(filepath.Join(dir, filepath.Base(program)+".log"))
	if err != nil {
		return err
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: make cluster-programs builds it", err)
	}
	s.ended = append(s.ended, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
	})
	return nil
}

func (s *server) close() {
	for i := len(s.ended) - 1; i >= 0; i-- {
		s.ended[i]()
	}
}

// addTekton adds the definitions of Tekton's kinds, from its module.
func (s *server) addTekton(ctx context.Context) error {
	dir, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tektoncd/pipeline").Output()
	if err != nil {
		return fmt.Errorf("find Tekton's module: %w", err)
	}
	for _, kind := range []string{"pipelinerun", "taskrun"} {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "config/300-crds/300-"+kind+".yaml"))
		if err != nil {
			return err
		}
		code, answer, err := s.do(ctx, http.MethodPost, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "application/yaml", text)
		if err != nil || code != http.StatusCreated {
			return fmt.Errorf("add %s: %d %s %w", kind, code, answer, err)
		}
		if err := await(ctx, time.Minute, kind+"s to be served", func() bool {
			code, _, err := s.do(ctx, http.MethodGet, "/apis/tekton.dev/v1/"+kind+"s", "", nil)
			return err == nil && code == http.StatusOK
		}); err != nil {
			return err
		}
	}
	return nil
}

// do has the API server do something, as its administrator and past all faults.
func (s *server) do(ctx context.Context, method, path, contentType string, body []byte) (code int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// await waits until done says yes.
func await(ctx context.Context, most time.Duration, what string, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s for %s", most, what)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

func freePorts(n int) (ports []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

func writeKey(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600)
}

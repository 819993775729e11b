// Package kubetest is an API server in memory, for tests: it keeps objects of any kind with their
// resourceVersions, refuses what a real one refuses for them, and answers lists in pages.
package kubetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/tekton-sentry/sentry/pkg/kube"
)

// Object is one object, decoded.
type Object = map[string]any

// Server is the API server. Its fields may be set between requests.
type Server struct {
	// Fault is asked before a request is served; true means that it answered.
	Fault func(w http.ResponseWriter, r *http.Request) bool
	// User is who asks, and May says what somebody may do: for reviews, all other requests are allowed.
	User string
	May  func(user string, what authorizationv1.ResourceAttributes) bool
	// NoColumn is left out of tables.
	NoColumn string

	mu      sync.Mutex
	version int
	objects map[string]Object // by path
	log     []string
}

// New returns an empty server, which ends with the test, and a connection to it.
func New(t testing.TB) (*Server, *kube.Cluster) {
	t.Helper()
	s := &Server{objects: map[string]Object{}}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return s, connect(t, web.URL, nil)
}

// Connect returns a connection to the server at the URL, in the namespace test.
func Connect(t testing.TB, url string) *kube.Cluster {
	t.Helper()
	return connect(t, url, nil)
}

func connect(t testing.TB, url string, dial func(context.Context, string, string) (net.Conn, error)) *kube.Cluster {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c,
clusters: [{name: c, cluster: {server: %q}}],
contexts: [{name: c, context: {cluster: c, namespace: test}}]}`, url)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := kube.Connect(kube.Options{Kubeconfig: file, UserAgent: "test", Dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Writes returns the requests that changed something since it was last called, as "PUT name".
func (s *Server) Writes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.log
	s.log = nil
	return log
}

// Put stores an object as it is; nil deletes it.
func (s *Server) Put(path string, o Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o == nil {
		delete(s.objects, path)
		return
	}
	s.put(path, o)
}

// Get returns an object, or nil.
func (s *Server) Get(path string) Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[path]
}

// Names returns the last parts of the paths below one, sorted.
func (s *Server) Names(below string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for path := range s.objects {
		if name, ok := strings.CutPrefix(path, below+"/"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// OwnedBy returns the ownerReferences of what a controller made for the object with the UID.
func OwnedBy(uid string) []Object { return []Object{{"uid": uid, "controller": true}} }

func (s *Server) put(path string, o Object) {
	s.version++
	meta(o)["resourceVersion"] = strconv.Itoa(s.version)
	s.objects[path] = o
}

func meta(o Object) Object {
	m, ok := o["metadata"].(Object)
	if !ok {
		m = Object{}
		o["metadata"] = m
	}
	return m
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := s.Fault; f != nil && f(w, r) || s.review(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := r.URL.Path
	var body Object
	if r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil && !errors.Is(err, io.EOF) { // Fault has read it
			Refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
			return
		}
	}
	if r.Method == http.MethodPost {
		path += "/" + fmt.Sprint(meta(body)["name"])
	}
	old, exists := s.objects[path]
	switch {
	case r.Method == http.MethodGet && isCollection(path):
		s.list(w, r)
		return
	case r.Method == http.MethodPost && exists:
		Refuse(w, http.StatusConflict, metav1.StatusReasonAlreadyExists, path+" already exists")
		return
	case r.Method != http.MethodPost && !exists:
		Refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, path+" not found")
		return
	case r.Method == http.MethodPut && meta(body)["resourceVersion"] != meta(old)["resourceVersion"],
		r.Method == http.MethodPatch && meta(body)["resourceVersion"] != nil && meta(body)["resourceVersion"] != meta(old)["resourceVersion"]:
		Refuse(w, http.StatusConflict, metav1.StatusReasonConflict, path+" has been modified")
		return
	}
	if r.URL.Query().Get("dryRun") != "" {
		answer(w, http.StatusOK, body)
		return
	}
	if r.Method != http.MethodGet {
		s.log = append(s.log, r.Method+" "+path[strings.LastIndex(path, "/")+1:])
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut:
		s.put(path, body)
		old = body
	case http.MethodPatch:
		old = merged(old, body)
		s.put(path, old)
	case http.MethodDelete:
		delete(s.objects, path)
	case http.MethodGet:
		if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata") {
			old = Object{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": old["metadata"]}
		}
	}
	answer(w, http.StatusOK, old)
}

// merged returns o with the changes of a JSON merge patch that deletes nothing.
func merged(o, patch Object) Object {
	o = maps.Clone(o)
	for key, value := range patch {
		was, _ := o[key].(Object)
		if changes, ok := value.(Object); ok && was != nil {
			value = merged(was, changes)
		}
		o[key] = value
	}
	return o
}

// list answers with the objects that the selector wants, in pages.
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		Refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	var found []Object
	for _, path := range slices.Sorted(maps.Keys(s.objects)) {
		if !strings.HasPrefix(path, r.URL.Path+"/") {
			continue
		}
		set := labels.Set{}
		given, _ := meta(s.objects[path])["labels"].(Object)
		for k, v := range given {
			set[k] = fmt.Sprint(v)
		}
		if selector.Matches(set) {
			found = append(found, s.objects[path])
		}
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	to := len(found)
	list := Object{}
	if limit, _ := strconv.Atoi(r.URL.Query().Get("limit")); limit > 0 && from+limit < to {
		to = from + limit
		list["continue"] = strconv.Itoa(to)
	}
	if strings.Contains(r.Header.Get("Accept"), "as=Table") {
		answer(w, http.StatusOK, s.table(found[from:to], list))
		return
	}
	kind := map[bool]string{true: "TaskRunList", false: "PipelineRunList"}[strings.HasSuffix(r.URL.Path, "/taskruns")]
	answer(w, http.StatusOK, Object{"kind": kind, "apiVersion": "tekton.dev/v1", "metadata": list, "items": found[from:to]})
}

// table returns PipelineRuns with the columns of their CustomResourceDefinition.
func (s *Server) table(found []Object, list Object) Object {
	var columns []Object
	for _, name := range []string{"Name", "Succeeded", "Reason", "StartTime", "CompletionTime"} {
		if name != s.NoColumn {
			columns = append(columns, Object{"name": name})
		}
	}
	rows := []Object{}
	for _, o := range found {
		cells := map[string]any{"Name": meta(o)["name"]}
		text, _ := json.Marshal(o["status"]) // was decoded from JSON
		var status struct {
			Conditions     []struct{ Type, Status, Reason string }
			CompletionTime time.Time
		}
		_ = json.Unmarshal(text, &status)
		for _, c := range status.Conditions {
			if c.Type == "Succeeded" {
				cells["Succeeded"], cells["Reason"] = c.Status, c.Reason
			}
		}
		if !status.CompletionTime.IsZero() {
			cells["CompletionTime"] = duration.HumanDuration(time.Since(status.CompletionTime))
		}
		row := []any{}
		for _, c := range columns {
			row = append(row, cells[fmt.Sprint(c["name"])])
		}
		rows = append(rows, Object{"cells": row, "object": Object{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": o["metadata"]}})
	}
	return Object{"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": list, "columnDefinitions": columns, "rows": rows}
}

// Refuse answers as an API server refuses.
func Refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	answer(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}

func answer(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(value) // the client went away
}

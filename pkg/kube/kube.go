// Package kube connects to a Kubernetes API server. It offers bare REST clients for the two kinds that
// Sentry touches, ConfigMaps and Tekton's PipelineRuns with their TaskRuns, instead of the generated
// clientsets: those link every kind there is, which costs a third of the binary and of the idle memory.
package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/transport"
)

// Options say which cluster and namespace. They mean what kubectl's flags of the same names mean.
type Options struct {
	Kubeconfig string // path; "" = $KUBECONFIG, ~/.kube/config, or the pod's own service account
	Context    string // "" = the current one
	Namespace  string // "" = that of the context or of the pod
	UserAgent  string
	Dial       func(ctx context.Context, network, address string) (net.Conn, error) // nil: the machine's network
	// Answered is told of each request whether it had an answer, whatever that was, or why it had none; nil = nobody is.
	Answered func(ctx context.Context, err error)
	// PerSecond is how many requests a second are sent at most, after a burst of twice as many; 0 = 50.
	PerSecond float32
	// ReadWithin is how long what is read of Tekton's objects may take to come, but for a watch; 0 = as long as the caller says.
	ReadWithin time.Duration

	stranger bool // the server is one that a configuration names
}

// whoTimeout bounds the question who one is, without whose answer all goes on.
const whoTimeout = 5 * time.Second

// Cluster is a connection to one API server, and the namespace to work in.
type Cluster struct {
	Namespace string
	Core      rest.Interface // v1
	Tekton    rest.Interface // tekton.dev/v1

	config *rest.Config
}

// ErrNone is returned by Connect where nothing says which cluster is meant. Who has another place than a cluster may say so.
var ErrNone = errors.New("no cluster is configured")

// Connect reads the kubeconfig, or the pod's service account, and makes the clients. It sends no
// request: a server that is down shows at the first call.
func Connect(o Options) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.Context}
	overrides.Context.Namespace = o.Namespace
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	cfg, err := loader.ClientConfig()
	if err != nil {
		switch files := os.Getenv(clientcmd.RecommendedConfigPathEnvVar); {
		case clientcmd.IsEmptyConfig(err) && files != "":
			return nil, fmt.Errorf("%w in %s, which KUBECONFIG names: is the file there? Or give --kubeconfig", ErrNone, files)
		case clientcmd.IsEmptyConfig(err):
			return nil, fmt.Errorf("%w: set KUBECONFIG, or give --kubeconfig", ErrNone)
		}
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("read the namespace from the kubeconfig: %w", err)
	}
	return o.connect(cfg, namespace)
}

func (o Options) connect(cfg *rest.Config, namespace string) (*Cluster, error) {
	cfg.Dial = o.Dial
	if o.Answered != nil {
		cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return observer{next, o.Answered} })
	}
	// Enough that a burst of runs is not slowed by the client; the API server has its own fairness.
	cfg.QPS = cmp.Or(o.PerSecond, 50)
	cfg.Burst = 2 * int(cfg.QPS)
	return connect(cfg, namespace, o)
}

// Contexts returns the names of the contexts of a kubeconfig; none where it cannot be read.
func Contexts(kubeconfig string) []string {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	cfg, err := rules.Load()
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(cfg.Contexts))
}

// types are those of the API. They are registered once: a page makes a connection for each request of a person.
var types = sync.OnceValues(func() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, tektonv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register the API's types: %w", err)
		}
	}
	return scheme, nil
})

func connect(cfg *rest.Config, namespace string, o Options) (*Cluster, error) {
	scheme, err := types()
	if err != nil {
		return nil, err
	}
	cfg.UserAgent = o.UserAgent
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	// Warnings of the server go to klog by default, past our own log and its format.
	cfg.WarningHandler = rest.NoWarnings{}
	// By itself client-go reads a token file again once a minute; so also after the token was refused.
	if file := cfg.BearerTokenFile; file != "" {
		cfg.Wrap(transport.ResettableTokenSourceWrapTransport(transport.NewCachedFileTokenSource(file)))
		cfg.BearerToken, cfg.BearerTokenFile = "", ""
	}

	core, tekton := rest.CopyConfig(cfg), rest.CopyConfig(cfg)
	core.APIPath, core.GroupVersion = "/api", &corev1.SchemeGroupVersion
	tekton.APIPath, tekton.GroupVersion = "/apis", &tektonv1.SchemeGroupVersion
	// Not HTTPClientFor: where nothing is to be added to requests, its client has no transport that could be wrapped.
	rt, err := rest.TransportFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("make the client of the cluster: %w", err)
	}
	hc := &http.Client{Transport: rt, Timeout: cfg.Timeout}
	if o.stranger {
		hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		hc.Transport = limited{hc.Transport}
	}
	c := &Cluster{Namespace: namespace, config: cfg}
	if c.Core, err = rest.RESTClientForConfigAndClient(core, hc); err != nil {
		return nil, fmt.Errorf("make the client of the cluster: %w", err)
	}
	// The state is always tried: one call a cycle is no burden, and what was done must be remembered.
	guarded := *hc
	guarded.Transport = &breaker{next: guarded.Transport, now: time.Now}
	if o.ReadWithin > 0 {
		guarded.Transport = impatient{guarded.Transport, o.ReadWithin}
	}
	if c.Tekton, err = rest.RESTClientForConfigAndClient(tekton, &guarded); err != nil {
		return nil, fmt.Errorf("make the client of the cluster: %w", err)
	}
	return c, nil
}

// WhoAmI returns the user that the API server takes the connection for; "" where it does not tell.
func (c *Cluster) WhoAmI(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, whoTimeout)
	defer cancel()
	question := []byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`)
	text, err := c.Core.Post().AbsPath("/apis/authentication.k8s.io/v1/selfsubjectreviews").
		SetHeader("Content-Type", "application/json").Body(question).Do(ctx).Raw()
	var answer struct {
		Status struct{ UserInfo struct{ Username string } }
	}
	if err != nil || json.Unmarshal(text, &answer) != nil {
		return ""
	}
	return answer.Status.UserInfo.Username
}

// observer tells of requests whether the API server answered them.
type observer struct {
	next     http.RoundTripper
	answered func(ctx context.Context, err error)
}

// RoundTrip implements http.RoundTripper.
func (o observer) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.next.RoundTrip(req)
	if !errors.Is(req.Context().Err(), context.Canceled) { // what the caller gave up says nothing of the server
		o.answered(req.Context(), err)
	}
	return resp, err
}

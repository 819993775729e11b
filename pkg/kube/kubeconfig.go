package kube

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// maxKubeconfig bounds the text of a kubeconfig, in bytes.
const maxKubeconfig = 64 << 10

// access is what a kubeconfig's current context says.
type access struct {
	all     *api.Config
	context *api.Context
	cluster *api.Cluster
	user    *api.AuthInfo
}

// CheckKubeconfig says why Sentry does not connect by the text of a kubeconfig. It never repeats what may be secret.
func CheckKubeconfig(text string) error {
	_, err := readKubeconfig(text)
	return err
}

// SecretsIn returns what is secret in the text of a kubeconfig: nothing of one that is none.
func SecretsIn(text string) []string {
	if len(text) > maxKubeconfig {
		return nil
	}
	all, err := clientcmd.Load([]byte(text))
	if err != nil {
		return nil
	}
	var secrets []string
	for _, user := range all.AuthInfos {
		for _, s := range []string{user.Token, user.Password, string(user.ClientKeyData)} {
			if s != "" {
				secrets = append(secrets, s)
			}
		}
	}
	for _, cluster := range all.Clusters {
		if proxy, err := url.Parse(cluster.ProxyURL); err == nil && proxy.User != nil {
			if password, _ := proxy.User.Password(); password != "" {
				secrets = append(secrets, password)
			}
		}
	}
	return secrets
}

// readKubeconfig takes a kubeconfig that somebody stored for Sentry: it tells where the API server is and how Sentry proves itself, and has
// nothing started, no file read and no server believed unseen. What other contexts say is not looked at.
func readKubeconfig(text string) (*access, error) {
	if len(text) > maxKubeconfig {
		return nil, fmt.Errorf("has %d bytes; want at most %d KiB", len(text), maxKubeconfig>>10)
	}
	all, err := clientcmd.Load([]byte(text))
	if err != nil || strings.TrimSpace(text) == "" {
		return nil, errors.New("is no kubeconfig") // the reason may repeat a part of it
	}
	a := &access{all: all, context: all.Contexts[all.CurrentContext]}
	if a.context == nil {
		return nil, errors.New("has no current-context, or not the context that this names: kubectl config view --minify --flatten writes one that has")
	}
	if a.cluster, a.user = all.Clusters[a.context.Cluster], all.AuthInfos[a.context.AuthInfo]; a.cluster == nil {
		return nil, errors.New("lacks the cluster of its current-context")
	}
	if a.user == nil {
		if a.context.AuthInfo != "" {
			return nil, errors.New("lacks the user of its current-context")
		}
		a.user = &api.AuthInfo{}
	}
	return a, a.check()
}

func (a *access) check() error {
	server, err := url.Parse(a.cluster.Server)
	var proxy *url.URL
	if err == nil {
		proxy, err = url.Parse(a.cluster.ProxyURL)
	}
	switch u := a.user; {
	case err != nil || server.Host == "" || server.User != nil:
		return errors.New("has a server or a proxy that is no plain URL")
	case server.Scheme != "https" && (server.Scheme != "http" || !loopback(server.Hostname())):
		return errors.New("has a server without TLS, to which a token would go for all to read; want https")
	case a.cluster.ProxyURL != "" && proxy.Scheme != "http" && proxy.Scheme != "https":
		return errors.New("has a proxy-url that is no http(s) URL")
	case a.cluster.InsecureSkipTLSVerify:
		return errors.New("has insecure-skip-tls-verify, by which anybody in between could be the API server; want certificate-authority-data")
	case u.Exec != nil:
		return errors.New("has an exec plug-in, and Sentry starts no program of a kubeconfig; want the token of a ServiceAccount or a client certificate")
	case u.AuthProvider != nil:
		return errors.New("has an auth-provider, which Kubernetes itself took out; want the token of a ServiceAccount or a client certificate")
	case a.cluster.CertificateAuthority != "":
		return fileIn("certificate-authority", "certificate-authority-data")
	case u.ClientCertificate != "":
		return fileIn("client-certificate", "client-certificate-data")
	case u.ClientKey != "":
		return fileIn("client-key", "client-key-data")
	case u.TokenFile != "":
		return fileIn("tokenFile", "token")
	}
	return nil
}

func fileIn(key, instead string) error {
	return fmt.Errorf("has %s, which is a file of another machine; want %s, as kubectl config view --minify --flatten --raw writes it", key, instead)
}

func loopback(host string) bool { return host == "127.0.0.1" || host == "localhost" || host == "::1" }

// ConnectBy connects as Connect does, by the text of a kubeconfig. Nothing else is looked at: no file, no variable, no pod. The server sends
// Sentry nowhere else, and answers in so many bytes at most.
func ConnectBy(text string, o Options) (*Cluster, error) {
	a, err := readKubeconfig(text)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig %w", err)
	}
	cfg, err := clientcmd.NewNonInteractiveClientConfig(*a.all, a.all.CurrentContext, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, errors.New("the kubeconfig cannot be used: a certificate, a key or a name in it is none")
	}
	namespace := o.Namespace
	if namespace == "" {
		namespace = a.context.Namespace
	}
	o.stranger = true
	return o.connect(cfg, namespace)
}

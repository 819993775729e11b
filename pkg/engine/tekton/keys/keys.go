// Package keys has the key behind the names and signatures of runs, which is in a Secret that no run can read.
package keys

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
)

const (
	keyField = "key.json"
	keyBytes = 32
)

// storedKey is a naming.Key as the Secret holds it.
type storedKey struct {
	Secret string    `json:"secret"` // hexadecimal digits
	Since  time.Time `json:"since"`
}

// Of returns a function that returns the key of an instance, from its Secret in the namespace of the connection. The
// manifests make the Secret empty, as the poller may fill it and not create Secrets. The key is made when it is first
// asked for, and read from the cluster once; an error is tried again at the next call.
func Of(c *kube.Cluster, of instance.Instance) func(context.Context) (naming.Key, error) {
	name := of.Key()
	var mutex sync.Mutex
	var key naming.Key
	return func(ctx context.Context) (naming.Key, error) {
		mutex.Lock()
		defer mutex.Unlock()
		if key.Secret != "" {
			return key, nil
		}
		text, err := c.EnsureSecret(ctx, name, keyField, newKey)
		if err != nil {
			return naming.Key{}, fmt.Errorf("%w; if it does not exist, make it: kubectl -n %s create secret generic %s; if Sentry may not get and update it, apply the manifests of this version",
				err, c.Namespace, name)
		}
		var stored storedKey
		if err := json.Unmarshal(text, &stored); err != nil || len(stored.Secret) < 2*keyBytes {
			// The content is not repeated: it may be the key, with a mistake in it.
			return naming.Key{}, fmt.Errorf("read Secret %s/%s, %s: it holds no key; take that away to have a new one made: kubectl -n %s patch secret %s --type=json -p '[{\"op\":\"remove\",\"path\":\"/data/%s\"}]'",
				c.Namespace, name, keyField, c.Namespace, name, keyField)
		}
		key = naming.Key{Secret: stored.Secret, Since: stored.Since, Instance: of.Name}
		return key, nil
	}
}

func newKey() []byte {
	random := make([]byte, keyBytes)
	_, _ = rand.Read(random) // never fails: see crypto/rand.Read
	text, err := json.Marshal(storedKey{hex.EncodeToString(random), time.Now().UTC()})
	if err != nil {
		panic(err) // unreachable: a date of today can be encoded
	}
	return text
}

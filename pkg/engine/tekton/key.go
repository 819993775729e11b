package tekton

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// KeySecret is the Secret that holds the key behind the names and signatures of runs, in the namespace of the
// connection. The manifests make it empty, as the poller may fill it and not create Secrets.
const KeySecret = "sentry-key"

const (
	keyField = "key.json"
	keyBytes = 32
)

// storedKey is a plan.Key as the Secret holds it.
type storedKey struct {
	Secret string    `json:"secret"` // hexadecimal digits
	Since  time.Time `json:"since"`
}

// Keys returns a function that returns the key of this installation. It is made when it is first asked for, and read
// from the cluster once; an error is tried again at the next call.
func Keys(c *kube.Cluster) func(context.Context) (plan.Key, error) {
	var mutex sync.Mutex
	var key plan.Key
	return func(ctx context.Context) (plan.Key, error) {
		mutex.Lock()
		defer mutex.Unlock()
		if key.Secret != "" {
			return key, nil
		}
		text, err := c.EnsureSecret(ctx, KeySecret, keyField, newKey)
		if err != nil {
			return plan.Key{}, fmt.Errorf("%w; if it does not exist, make it: kubectl -n %s create secret generic %s; if Sentry may not get and update it, apply the manifests of this version",
				err, c.Namespace, KeySecret)
		}
		var stored storedKey
		if err := json.Unmarshal(text, &stored); err != nil || len(stored.Secret) < 2*keyBytes {
			// The content is not repeated: it may be the key, with a mistake in it.
			return plan.Key{}, fmt.Errorf("read Secret %s/%s, %s: it holds no key; take that away to have a new one made: kubectl -n %s patch secret %s --type=json -p '[{\"op\":\"remove\",\"path\":\"/data/%s\"}]'",
				c.Namespace, KeySecret, keyField, c.Namespace, KeySecret, keyField)
		}
		key = plan.Key(stored)
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

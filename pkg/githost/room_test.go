package githost

import (
	"fmt"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

// An answer that counts as none gives its room back.
func TestRoomIsGivenBack(t *testing.T) {
	room := NewRoom(1, 0)
	want := Wanted{Patterns: repotest.Patterns(t, ".*"), Room: room}
	for range 1000 {
		dropped := NewHeads("h", want)
		for i := range 1000 {
			dropped.Add(fmt.Sprint("b", i), sha1)
		}
		dropped.Drop()
		wrong := NewHeads("h", want)
		wrong.Add("main", sha1)
		wrong.Add("dev", "no SHA")
	}
	if left := int(room.left.Load()); left != room.size {
		t.Errorf("%d bytes are left of %d, and nothing is kept", left, room.size)
	}
}

package sshgit

import (
	"net"
	"testing"
	"time"
)

// A server that refused a session while it was busy has as many as usual again after some cycles.
func TestRefusedForAWhile(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	c := &conn{wire: &wire{Conn: here}, most: usualSessions, idle: time.AfterFunc(time.Hour, func() {})}
	defer c.idle.Stop()
	cycle := func() (most int) {
		for c.sessions < c.most {
			if err := c.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		most = c.sessions
		for c.sessions > 0 {
			c.leave()
		}
		return most
	}
	for range 3 {
		if err := c.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !c.lower() {
		t.Fatal("two others are under way, and it reports none")
	}
	for range 3 {
		c.leave()
	}
	first := cycle()
	if first > 3 {
		t.Errorf("%d sessions right after the third one was refused, want at most one more than the two that went well", first)
	}
	for range usualSessions {
		cycle()
	}
	if got := cycle(); got != usualSessions {
		t.Errorf("%d sessions after %d cycles, want %d", got, usualSessions, usualSessions)
	}
}

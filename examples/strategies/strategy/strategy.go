// Package strategy is for programs that say who waits for whom in a group of Sentry's. It needs the Go toolchain alone:
//
//	GOOS=wasip1 GOARCH=wasm go build -ldflags=-s -o order.wasm .
//
// Such a program sees nothing but the question: no file, no variable, no network, and clocks and random numbers that are the same each time.
package strategy

import (
	"encoding/json"
	"fmt"
	"os"
)

// Member is a repository of the group.
type Member struct {
	Name    string            `json:"name"`
	Project string            `json:"project"`
	Wave    int               `json:"wave"` // from 1
	Needs   []string          `json:"needs"`
	Labels  map[string]string `json:"labels"` // of its pods
}

// Group is what the question is about.
type Group struct {
	Name    string   `json:"group"`
	Members []Member `json:"members"` // all of them, in the order of the file
}

// Main answers the question with what order returns: for each member that waits, the names of those that it needs. An error of
// order is told to whoever asked. It does not return.
func Main(order func(Group) (map[string][]string, error)) {
	var g Group
	err := json.NewDecoder(os.Stdin).Decode(&g)
	var needs map[string][]string
	if err == nil {
		needs, err = order(g)
	}
	if needs == nil {
		needs = map[string][]string{}
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(map[string]any{"needs": needs})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

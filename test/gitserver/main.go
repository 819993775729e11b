// Command gitserver serves the Git repositories below a directory over HTTP, on this machine alone: for the tutorial.
//
//	gitserver DIRECTORY [ADDRESS]
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

func main() {
	address := "127.0.0.1:8418"
	switch len(os.Args) {
	case 3:
		address = os.Args[2]
	case 2:
	default:
		fmt.Fprintln(os.Stderr, "usage: gitserver DIRECTORY [ADDRESS]")
		os.Exit(2)
	}
	if err := serve(os.Args[1], address); err != nil {
		fmt.Fprintln(os.Stderr, "gitserver:", err)
		os.Exit(1)
	}
}

func serve(dir, address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Printf("serving %s at http://%s\n", dir, listener.Addr())
	server := &http.Server{Handler: githosttest.GitHandler(dir), ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}

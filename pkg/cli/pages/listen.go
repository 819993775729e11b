package pages

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/serve"
)

// manyPorts is how many free ports are tried, until one is free at both addresses.
const manyPorts = 20

// Listen listens at an address of this machine, and at the same port of its other loopback address. Browsers know by themselves where names
// below localhost lead to, and try both: who else listens at the other one would get what is meant for the page, the key of its address
// before all. A machine without IPv6 has one of them.
func Listen(ctx context.Context, address string) ([]net.Listener, error) {
	for try := 1; ; try++ {
		l, err := serve.Listen(ctx, address)
		if err != nil {
			return nil, err
		}
		other, err := beside(l.Addr())
		if err != nil {
			_ = l.Close()
			return nil, err
		}
		if other == "" {
			return []net.Listener{l}, nil
		}
		second, err := serve.Listen(ctx, other)
		if err == nil {
			return []net.Listener{l, second}, nil
		}
		_ = l.Close()
		if _, port, _ := net.SplitHostPort(address); port != "0" || try == manyPorts {
			return nil, fmt.Errorf("browsers may ask there for what is meant for %s; name a port that is free at both: %w", l.Addr(), err)
		}
	}
}

// beside returns the other loopback address, with the port; "" where there is none, or where no name leads to the first.
func beside(a net.Addr) (string, error) {
	tcp, ok := a.(*net.TCPAddr)
	four, six := net.IPv4(127, 0, 0, 1), net.IPv6loopback
	other := six
	switch {
	case ok && tcp.IP.Equal(six):
		other = four
	case !ok || !tcp.IP.Equal(four):
		return "", nil
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("read the addresses of this machine: %w", err)
	}
	has := slices.ContainsFunc(addresses, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(other)
	})
	if !has {
		return "", nil
	}
	return net.JoinHostPort(other.String(), fmt.Sprint(tcp.Port)), nil
}

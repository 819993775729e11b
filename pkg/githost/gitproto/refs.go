package gitproto

import (
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// lsRefsRequest returns the body of an ls-refs request (gitprotocol-v2(5)) for refs under prefixes, and for the commits of tags
// among them. format is the repository's object format; "" is not sent and means SHA-1.
func lsRefsRequest(format string, prefixes []string, tags bool) []byte {
	b := appendPkt(nil, "command=ls-refs\n")
	if format != "" {
		b = appendPkt(b, "object-format="+format)
	}
	b = append(b, "0001"...)
	if tags {
		b = appendPkt(b, "peel\n")
	}
	for _, p := range prefixes {
		b = appendPkt(b, "ref-prefix "+p+"\n")
	}
	return append(b, "0000"...)
}

// prefixesOf returns the shortest list of literal starts of full names that covers what the patterns can match.
func prefixesOf(patterns repo.Patterns) []string {
	var all []string
	for _, p := range patterns {
		all = append(all, p.FullPrefix())
	}
	slices.Sort(all)
	var few []string
	for _, p := range all {
		// Sorted, a prefix stands before everything that it covers.
		if len(few) == 0 || !strings.HasPrefix(p, few[len(few)-1]) {
			few = append(few, p)
		}
	}
	return few
}

// readLsRefs reads the answer to ls-refs and yields each ref with its object name, that of its commit where it is an annotated
// tag, until yield returns false. Without an error and with yield always true, the answer was complete.
func readLsRefs(p *pktReader, yield func(ref, name string) bool) error {
	for n := 0; ; n++ {
		line, err := p.next()
		if err != nil {
			return err
		}
		if line.kind == flush {
			p.end()
			return nil
		}
		if n >= maxRefs {
			return errTooMany
		}
		name, rest, ok := strings.Cut(line.line, " ")
		if line.kind != data || !ok {
			return notGit("a ref reads %.80q", line.line)
		}
		// Attributes such as symref-target may follow the name; a ref holds no space.
		ref, attributes, more := strings.Cut(rest, " ")
		if more {
			for a := range strings.SplitSeq(attributes, " ") {
				if commit, ok := strings.CutPrefix(a, "peeled:"); ok {
					name = commit
				}
			}
			ref, name = alone(ref, name)
		}
		if !yield(ref, name) {
			p.rest()
			return nil
		}
	}
}

// alone returns a ref and its object name as parts of a text that holds nothing else: whoever keeps them keeps no
// line of 64 KiB with them.
func alone(ref, name string) (string, string) {
	text := name + ref
	return text[len(name):], text[:len(name)]
}

const (
	errTooMany = protocolError("the server lists more than 1,000,000 refs")
	errNoList  = protocolError("the server offers no ls-refs: it cannot list branches")
	errDumb    = protocolError("this is a dumb HTTP server: it must run Git's smart HTTP protocol, for example with git http-backend")
)

// advert is what a server says of itself before any refs.
type advert struct {
	v2     bool   // protocol version 2: no refs follow
	format string // object format of a version 2 server; "" = not told
	filter bool   // a version 2 server filters what is fetched
}

// readAdvert reads the answer to info/refs?service=git-upload-pack, gitprotocol-http(5). Of a server of
// version 0 or 1 it yields each ref with its object name until yield returns false; of a version 2 server it
// yields nothing, and reads no further. Without an error and with yield always true, the answer was complete.
func readAdvert(p *pktReader, yield func(ref, name string) bool) (advert, error) {
	line, err := p.next()
	if err != nil {
		return advert{}, err
	}
	if service, ok := strings.CutPrefix(line.line, "# service="); ok && line.kind == data {
		if service != "git-upload-pack" {
			return advert{}, notGit("it advertises the service %.40q", service)
		}
		if line, err = p.next(); err == nil && line.kind != flush {
			return advert{}, notGit("no flush after the service")
		}
		if err == nil {
			line, err = p.next()
		}
		if err != nil {
			return advert{}, err
		}
	}
	switch line.line {
	case "version 2":
		return readCapabilities(p)
	case "version 1":
		if line, err = p.next(); err != nil {
			return advert{}, err
		}
	}
	return advert{}, readRefs(p, line, yield)
}

// readCapabilities reads what follows "version 2".
func readCapabilities(p *pktReader) (advert, error) {
	a := advert{v2: true}
	lists := false
	// The largest advertisement known has twenty lines.
	for range 1000 {
		line, err := p.next()
		if err != nil {
			return advert{}, err
		}
		if line.kind == flush {
			if !lists {
				return advert{}, errNoList
			}
			return a, nil
		}
		key, value, _ := strings.Cut(line.line, "=")
		switch key {
		case "ls-refs":
			lists = true
		case "fetch":
			a.filter = slices.Contains(strings.Fields(value), "filter")
		case "object-format":
			if value != "sha1" && value != "sha256" {
				return advert{}, notGit("the object format is %.40q, want sha1 or sha256", value)
			}
			a.format = value
		}
	}
	return advert{}, notGit("endless capabilities")
}

// readRefs reads the refs of a version 0 or 1 server, of which line is the first.
func readRefs(p *pktReader, line pkt, yield func(ref, name string) bool) error {
	for n := 0; line.kind != flush; n++ {
		if n >= maxRefs {
			return errTooMany
		}
		text := line.line
		if n == 0 {
			// The first ref, or "capabilities^{}" where there is none, carries the capabilities.
			text, _, _ = strings.Cut(text, "\x00")
		}
		name, ref, ok := strings.Cut(text, " ")
		if line.kind != data || !ok || strings.Trim(name, "0123456789abcdef") != "" && name != "shallow" {
			return notGit("a ref reads %.80q", text)
		}
		if n == 0 {
			ref, name = alone(ref, name)
		}
		if name != "shallow" && !yield(ref, name) {
			p.rest()
			return nil
		}
		var err error
		if line, err = p.next(); err != nil {
			return err
		}
	}
	p.end()
	return nil
}

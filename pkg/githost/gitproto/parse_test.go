package gitproto

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

const (
	one = "1111111111111111111111111111111111111111"
	two = "2222222222222222222222222222222222222222"
)

// pkts makes packets of lines; "0000", "0001" and "0002" stand for themselves.
func pkts(lines ...string) string {
	var b []byte
	for _, line := range lines {
		switch line {
		case "0000", "0001", "0002":
			b = append(b, line...)
		default:
			b = appendPkt(b, line)
		}
	}
	return string(b)
}

func TestLsRefsRequest(t *testing.T) {
	for _, test := range []struct {
		format  string
		entries []string
		want    string
	}{
		{"", []string{"main"}, "0014command=ls-refs\n0001001fref-prefix refs/heads/main\n0000"},
		{"sha256", []string{"main"}, "0014command=ls-refs\n0018object-format=sha2560001001fref-prefix refs/heads/main\n0000"},
		{"", []string{"main", "dev.*", "dev-x", "main2"}, "0014command=ls-refs\n0001001eref-prefix refs/heads/dev\n001fref-prefix refs/heads/main\n0000"},
		{"", []string{"main", `refs/tags/v\d+`, "refs/tags/v1"}, "0014command=ls-refs\n00010009peel\n001fref-prefix refs/heads/main\n001bref-prefix refs/tags/v\n0000"},
		{"", []string{"main", "a|b"}, "0014command=ls-refs\n0001001bref-prefix refs/heads/\n0000"},
	} {
		if diff := cmp.Diff(test.want, string(lsRefsRequest(test.format, prefixesOf(repotest.Patterns(t, test.entries...)), len(repotest.Patterns(t, test.entries...).Tags()) > 0))); diff != "" {
			t.Errorf("branches %q: (-want +got)\n%s", test.entries, diff)
		}
	}
}

// refList makes comparable text of what a parser yields.
type refList []string

func (l *refList) add(ref, name string) bool {
	*l = append(*l, name[:min(4, len(name))]+" "+ref)
	return true
}

func TestReadLsRefs(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     refList
		err      string
	}{
		{"no refs", "0000", nil, ""},
		{"refs", pkts(one+" refs/heads/a\n", two+" refs/heads/b", "0000"), refList{"1111 refs/heads/a", "2222 refs/heads/b"}, ""},
		{"attributes", pkts(one+" HEAD symref-target:refs/heads/a peeled:"+two+"\n", "0000"), refList{"2222 HEAD"}, ""},
		{"an annotated tag", pkts(one+" refs/tags/a peeled:"+two+"\n", "0000"), refList{"2222 refs/tags/a"}, ""},
		{"an unborn ref", pkts("unborn HEAD symref-target:refs/heads/a\n", "0000"), refList{"unbo HEAD"}, ""},
		{"more after the end", pkts("0000", one+" refs/heads/a\n"), nil, ""},
		{"nothing", "", nil, "unexpected EOF"},
		{"no end", pkts(one + " refs/heads/a\n"), refList{"1111 refs/heads/a"}, "unexpected EOF"},
		{"cut in a line", "003d" + one, nil, "unexpected EOF"},
		{"cut in a length", "00", nil, "unexpected EOF"},
		{"a page", "<html>", nil, `not the Git protocol: a line starts with "<htm"`},
		{"a length below four", "0003", nil, "a line of 3 bytes"},
		{"a length too large", "fff1" + strings.Repeat("a", 70000), nil, "a line of 65521 bytes"},
		{"a signed length", "+010", nil, "a line starts with"},
		{"no space", pkts("NAK\n", "0000"), nil, `a ref reads "NAK"`},
		{"a delimiter", pkts("0001", "0000"), nil, `a ref reads ""`},
		{"an error", pkts("ERR access denied\n"), nil, "the server says: access denied"},
	} {
		var got refList
		err := readLsRefs(newPktReader(strings.NewReader(test.in)), got.add)
		compare(t, test.name, test.want, got, test.err, err)
	}
}

func TestReadAdvert(t *testing.T) {
	caps := "\x00multi_ack side-band-64k symref=HEAD:refs/heads/a agent=git/2\n"
	for _, test := range []struct {
		name, in string
		want     refList
		advert   advert
		err      string
	}{
		{"version 0", pkts("# service=git-upload-pack\n", "0000", one+" HEAD"+caps, one+" refs/heads/a\n", two+" refs/tags/x^{}\n", "0000"),
			refList{"1111 HEAD", "1111 refs/heads/a", "2222 refs/tags/x^{}"}, advert{}, ""},
		{"version 1", pkts("# service=git-upload-pack\n", "0000", "version 1\n", one+" HEAD"+caps, "0000"), refList{"1111 HEAD"}, advert{}, ""},
		{"without a service", pkts(one+" HEAD"+caps, "0000"), refList{"1111 HEAD"}, advert{}, ""},
		{"an empty repository", pkts("# service=git-upload-pack\n", "0000", strings.Repeat("0", 40)+" capabilities^{}"+caps, "0000"), refList{"0000 capabilities^{}"}, advert{}, ""},
		{"an empty repository of old", pkts("# service=git-upload-pack\n", "0000", "0000"), nil, advert{}, ""},
		{"shallow", pkts(one+" HEAD"+caps, "shallow "+two+"\n", "0000"), refList{"1111 HEAD"}, advert{}, ""},
		{"version 2", pkts("version 2\n", "agent=git/2\n", "ls-refs=unborn\n", "object-format=sha256\n", "0000"), nil, advert{v2: true, format: "sha256"}, ""},
		{"version 2 after a service", pkts("# service=git-upload-pack\n", "0000", "version 2\n", "ls-refs\n", "0000"), nil, advert{v2: true}, ""},
		{"version 2 without refs", pkts("version 2\n", "fetch\n", "0000"), nil, advert{}, "offers no ls-refs"},
		{"version 2 of another format", pkts("version 2\n", "object-format=md5\n", "0000"), nil, advert{}, `the object format is "md5"`},
		{"version 2 without end", pkts("version 2\n", "ls-refs\n"), nil, advert{}, "unexpected EOF"},
		{"version 2 for ever", pkts("version 2\n") + strings.Repeat(pkts("x\n"), 2000), nil, advert{}, "endless capabilities"},
		{"another service", pkts("# service=git-receive-pack\n", "0000"), nil, advert{}, `it advertises the service "git-receive-pack"`},
		{"no flush after the service", pkts("# service=git-upload-pack\n", one+" HEAD"+caps), nil, advert{}, "no flush after the service"},
		{"cut after the service", pkts("# service=git-upload-pack\n", "0000"), nil, advert{}, "unexpected EOF"},
		{"cut in the refs", pkts(one+" HEAD"+caps, one+" refs/heads/a\n"), refList{"1111 HEAD", "1111 refs/heads/a"}, advert{}, "unexpected EOF"},
		{"capabilities in a later line", pkts(one+" HEAD"+caps, one+" refs/heads/a\x00b\n", "0000"), refList{"1111 HEAD", "1111 refs/heads/a\x00b"}, advert{}, ""},
		{"words", pkts("hello world\n", "0000"), nil, advert{}, `a ref reads "hello world"`},
		{"an error", pkts("# service=git-upload-pack\n", "0000", "ERR repository not exported"), nil, advert{}, "the server says: repository not exported"},
	} {
		var got refList
		a, err := readAdvert(newPktReader(strings.NewReader(test.in)), got.add)
		compare(t, test.name, test.want, got, test.err, err)
		if a != test.advert {
			t.Errorf("%s: got %+v, want %+v", test.name, a, test.advert)
		}
	}
}

func compare(t *testing.T, name string, want, got refList, wantErr string, err error) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: refs (-want +got)\n%s", name, diff)
	}
	if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
		t.Errorf("%s: got error %v, want %q", name, err, wantErr)
	}
}

// ending is a reader that knows whether its end was read.
type ending struct {
	io.Reader
	ended bool
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	e.ended = e.ended || errors.Is(err, io.EOF)
	return n, err
}

// TestReadsToTheEnd: a connection can only be used again when the end of the answer was read.
func TestReadsToTheEnd(t *testing.T) {
	for _, in := range []string{
		pkts(one+" refs/heads/a\n", two+" refs/heads/b\n", "0000"),
		pkts("0000"),
		pkts("version 2\n", "ls-refs\n", "0000"),
	} {
		for _, more := range []bool{false, true} {
			body := &ending{Reader: strings.NewReader(in)}
			yield := func(string, string) bool { return more }
			var err error
			if strings.Contains(in, "version") {
				packets := newPktReader(body)
				_, err = readAdvert(packets, yield)
				packets.end() // over SSH the answer follows
			} else {
				err = readLsRefs(newPktReader(body), yield)
			}
			if err != nil || !body.ended {
				t.Errorf("%q, wanting more: %t: error %v, read to the end: %t", in, more, err, body.ended)
			}
		}
	}
	body := &ending{Reader: strings.NewReader(pkts(one+" HEAD\x00caps\n", one+" refs/heads/a\n", "0000"))}
	if _, err := readAdvert(newPktReader(body), func(string, string) bool { return true }); err != nil || !body.ended {
		t.Errorf("version 0: error %v, read to the end: %t", err, body.ended)
	}
}

// endless repeats a text for ever.
type endless struct{ text, rest string }

func (e *endless) Read(p []byte) (int, error) {
	if e.rest == "" {
		e.rest = e.text
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func TestEndlessRefsEnd(t *testing.T) {
	body := func() *pktReader {
		return newPktReader(&endless{text: strings.Repeat(pkts(one+" refs/heads/main\n"), 1000)})
	}
	if err := readLsRefs(body(), func(string, string) bool { return true }); !errors.Is(err, errTooMany) {
		t.Errorf("ls-refs: got %v, want %v", err, errTooMany)
	}
	if _, err := readAdvert(body(), func(string, string) bool { return true }); !errors.Is(err, errTooMany) {
		t.Errorf("advertisement: got %v, want %v", err, errTooMany)
	}
	if err := readLsRefs(body(), func(string, string) bool { return false }); err != nil {
		t.Errorf("ls-refs that found what it wanted: got %v, want no error", err)
	}
}

func FuzzLsRefs(f *testing.F) {
	for _, seed := range []string{
		"0000", pkts(one+" refs/heads/a\n", two+" refs/heads/b", "0000"), pkts(one+" HEAD symref-target:refs/heads/a\n", "0000"),
		pkts("ERR no\n"), "0003", "0004", "fff0", "0001", "<html>", pkts("NAK\n"), pkts(" \n", "0000"), pkts(one + "  x\n"),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		n := 0
		err := readLsRefs(newPktReader(strings.NewReader(string(in))), func(ref, name string) bool {
			n++
			if strings.Contains(ref, " ") || strings.Contains(name, " ") {
				t.Errorf("%q: got name %q and ref %q, want none with a space", in, name, ref)
			}
			return true
		})
		if err == nil && !strings.Contains(string(in), "0000") {
			t.Errorf("%q: taken as complete, with no flush packet", in)
		}
		if n > len(in)/5 {
			t.Errorf("%q: %d refs of %d bytes", in, n, len(in))
		}
		printable(t, in, err)
	})
}

func FuzzAdvertisement(f *testing.F) {
	for _, seed := range []string{
		pkts("# service=git-upload-pack\n", "0000", one+" HEAD\x00caps\n", one+" refs/heads/a\n", "0000"),
		pkts("# service=git-upload-pack\n", "0000", strings.Repeat("0", 40)+" capabilities^{}\x00caps\n", "0000"),
		pkts("version 2\n", "ls-refs\n", "object-format=sha256\n", "0000"), pkts("version 1\n", one+" HEAD\x00\n", "0000"),
		pkts("version 2\n", "0000"), pkts("# service=x\n"), "0000", "", one + "\trefs/heads/main\n", pkts("shallow "+one, "0000"),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		n := 0
		a, err := readAdvert(newPktReader(strings.NewReader(string(in))), func(ref, name string) bool {
			n++
			if strings.Trim(name, "0123456789abcdef") != "" {
				t.Errorf("%q: got the object name %q", in, name)
			}
			return true
		})
		if a.v2 && n > 0 {
			t.Errorf("%q: version 2 with %d refs", in, n)
		}
		if err == nil && !strings.Contains(string(in), "0000") {
			t.Errorf("%q: taken as complete, with no flush packet", in)
		}
		printable(t, in, err)
	})
}

// printable checks that an error that a parser makes is fit for people, once the host has wrapped it.
func printable(t *testing.T, in []byte, err error) {
	t.Helper()
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		return
	}
	text := (&host{name: "h"}).failed(err).Err.Error()
	if strings.ContainsAny(text, "\x00\n\r\x1b") || len(text) > 400 {
		t.Errorf("%q: the error is %q", in, text)
	}
}

func TestRemoteErrorKinds(t *testing.T) {
	for text, want := range map[string]string{
		"access denied or repository not exported: /x": "not found",
		"Repository not found.":                        "not found",
		"You are not allowed to read this":             "denied",
		"Permission to a/b denied":                     "denied",
		"upload-pack: internal error":                  "temporary",
	} {
		got := (&host{name: "h"}).failed(remoteError(text)).Err.Error()
		if want := fmt.Sprintf("h: %s: the server says: %s", want, text); got != want {
			t.Errorf("ERR %s: got %q, want %q", text, got, want)
		}
	}
}

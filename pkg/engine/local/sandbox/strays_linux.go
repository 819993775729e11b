package sandbox

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strconv"
)

// session returns the ID of this process's session.
func session() int { return sessionOf("self") }

// sessionOf returns the session of a process, -1 when there is none.
func sessionOf(pid string) int {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return -1
	}
	// The name before it, in parentheses, may hold anything: state, parent, group and session follow the last one.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 4 {
		return -1
	}
	id, err := strconv.Atoi(string(fields[3]))
	if err != nil {
		return -1
	}
	return id
}

// strays returns this user's processes that have the mark of one of the sandboxes.
func strays(dirs []string) []*os.Process {
	proc, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []*os.Process
	for _, entry := range proc {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		// The handle comes first: it goes on meaning this process when the ID is another one's later.
		p, err := os.FindProcess(pid)
		if err != nil {
			continue
		}
		if marked(entry.Name(), dirs) {
			found = append(found, p)
		} else {
			_ = p.Release()
		}
	}
	return found
}

// marked reports whether the process is this user's, has the mark of one of the sandboxes, and is in the
// session that the mark tells.
func marked(pid string, dirs []string) bool {
	if _, mine := ours("/proc/" + pid); !mine {
		return false
	}
	f, err := os.Open("/proc/" + pid + "/environ")
	if err != nil {
		return false
	}
	defer f.Close()
	const most = 8 << 20 // the kernel's own limit is 6 MiB for variables and arguments
	environ, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil || !bytes.Contains(environ, []byte(markVariable)) {
		return false
	}
	session := sessionOf(pid)
	return slices.ContainsFunc(dirs, func(dir string) bool {
		want := []byte(mark(dir, session))
		return slices.ContainsFunc(bytes.Split(environ, []byte{0}), func(v []byte) bool { return bytes.Equal(v, want) })
	})
}

// Package garbage sets how much memory a process that watches may leave uncollected.
package garbage

import (
	"os"
	"runtime/debug"
)

// Large is the number of repositories above which memory matters more: what is kept of them outgrows the program itself.
const Large = 20_000

// Tolerate lets the heap grow by so much before it is collected as is right for a number of repositories. Watching works
// for about a second a minute, and keeps what it knows of the repositories all the time: memory is worth more than the
// tenth of that second that this costs. GOGC has the last word.
func Tolerate(repositories int) {
	if os.Getenv("GOGC") != "" {
		return
	}
	percent := 50
	if repositories > Large {
		percent = 25
	}
	debug.SetGCPercent(percent)
}

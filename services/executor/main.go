// Command executor runs the actions of one zone's pool.
package main

import (
	"context"
	"os"
	"runtime/debug"

	"palmops/libs/conf"
	"palmops/services/executor/app"
)

// garbage is how much the heap may grow between two collections, in percent. An executor lives beside what it looks after, and
// has little on its heap: half of the usual room saves 2 MB of an idle process and costs no time that can be measured.
const garbage = 50

func main() {
	if set, err := conf.Env("GOGC"); set == "" && err == nil { // else the runtime has read it
		debug.SetGCPercent(garbage)
	}
	os.Exit(app.Service().Main(context.Background(), os.Args[1:], os.Stderr))
}

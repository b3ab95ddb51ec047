package command

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Version and Revision are set by the linker for images; a build inside the repository knows its revision by itself.
var (
	Version  = "0.1.0-dev"
	Revision = ""
)

func version(_ context.Context, s Streams, args []string) error {
	if err := noArgs(flags(s, "version"), args); err != nil {
		return err
	}
	revision := Revision
	if info, ok := debug.ReadBuildInfo(); ok && revision == "" {
		dirty := ""
		for _, kv := range info.Settings {
			switch kv.Key {
			case "vcs.revision":
				revision = kv.Value
			case "vcs.modified":
				if kv.Value == "true" {
					dirty = "+changes"
				}
			}
		}
		revision += dirty
	}
	if revision == "" {
		revision = "unknown"
	}
	fmt.Fprintf(s.Out, "palmops %s revision %s %s %s/%s\n", Version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

package command

import (
	"context"
	"fmt"

	"palmops/services/palmops/internal/local"
)

// keysInit makes what services that run alone need beside their configuration.
func keysInit(_ context.Context, s Streams, args []string) error {
	f := flags(s, "keys init")
	dir := f.String("dir", "deployments/config/local/keys", "folder for the keys; files that are there are kept")
	var zones texts
	f.Var(&zones, "zone", "zone to make token keys for, may be given again (default: local)")
	if err := noArgs(f, args); err != nil {
		return err
	}
	if len(zones) == 0 {
		zones = texts{"local"}
	}
	for _, z := range zones {
		path, made, err := local.InitZone(*dir, z)
		if err != nil {
			return err
		}
		if made {
			fmt.Fprintln(s.Out, "made", path)
		} else {
			fmt.Fprintln(s.Out, "kept", path)
		}
	}
	return nil
}

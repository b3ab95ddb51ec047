package command

import (
	"context"

	"palmops/services/simulator/client"
)

// chat talks to a simulator that runs elsewhere, such as the one of palmops run.
func chat(ctx context.Context, s Streams, args []string) error {
	f := flags(s, "sim")
	user := f.String("user", "zhangsan", "who types")
	url := f.String("url", "http://127.0.0.1:8090", "where the simulator is")
	if err := noArgs(f, args); err != nil {
		return err
	}
	c := client.New(*url, nil)
	defer c.Close()
	return c.Talk(ctx, s.In, s.Out, *user)
}

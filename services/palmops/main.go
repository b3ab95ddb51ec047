// Command palmops is the whole system in one binary, and the operator's command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"palmops/services/palmops/internal/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := command.Main(ctx, command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}

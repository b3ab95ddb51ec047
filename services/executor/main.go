// Command executor runs the actions of one zone's pool.
package main

import (
	"context"
	"os"

	"palmops/services/executor/app"
)

func main() {
	os.Exit(app.Service().Main(context.Background(), os.Args[1:], os.Stderr))
}

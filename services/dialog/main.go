// Command dialog runs the dialog alone: it decides what to say next.
package main

import (
	"context"
	"os"

	"palmops/services/dialog/app"
)

func main() {
	os.Exit(app.Service().Main(context.Background(), os.Args[1:], os.Stderr))
}

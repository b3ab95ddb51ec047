// Command simulator runs the simulator alone: a WeCom in a box.
package main

import (
	"context"
	"os"

	"palmops/services/simulator/app"
)

func main() {
	os.Exit(app.Service().Main(context.Background(), os.Args[1:], os.Stderr))
}

// Command gateway runs the gateway alone: the only door WeCom can knock on.
package main

import (
	"context"
	"os"

	"palmops/services/gateway/app"
)

func main() {
	os.Exit(app.Service().Main(context.Background(), os.Args[1:], os.Stderr))
}

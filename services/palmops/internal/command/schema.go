package command

import (
	"context"
	"errors"

	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
	executor "palmops/services/executor/app"
	"palmops/services/executor/catalog"
)

// schema prints a JSON Schema, for editors that complete and check YAML. That of catalogs has all kinds of this program.
func schema(_ context.Context, s Streams, args []string) error {
	rest, err := parse(flags(s, "schema"), args)
	if err != nil {
		return err
	}
	files := map[string]func() []byte{
		"menu": menu.Schema, "policy": policy.Schema, "catalog": func() []byte { return catalog.Schema(executor.Kinds()) },
	}
	if len(rest) != 1 || files[rest[0]] == nil {
		return errors.New("which one: menu, policy or catalog")
	}
	_, err = s.Out.Write(files[rest[0]]())
	return err
}

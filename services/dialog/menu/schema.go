package menu

import (
	_ "embed"
	"slices"
)

//go:embed schema/menu.json
var schemaFile []byte

// Schema is the JSON Schema (draft 2020-12) of menu files and of the files they include: the help of an editor, which
// says what Build says about the structure of a file and nothing about what depends on its other parts.
func Schema() []byte { return slices.Clone(schemaFile) }

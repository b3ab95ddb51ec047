package policy

import (
	_ "embed"
	"slices"
)

//go:embed schema.json
var schemaFile []byte

// Schema is the JSON Schema (draft 2020-12) of policy files: the help of an editor, which says what Parse says about the
// structure of a file.
func Schema() []byte { return slices.Clone(schemaFile) }

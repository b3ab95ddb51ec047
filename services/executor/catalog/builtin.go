package catalog

import (
	"regexp"
	"time"

	"palmops/libs/wire"
)

// KindBuiltIn is the kind of what every executor can do about its own actions and locks; it needs no entry in a catalog.
const KindBuiltIn = "palmops"

// Verbs of the built-in actions.
const (
	VerbCancel = "cancel"
	VerbLock   = "lock"
	VerbUnlock = "unlock"
	VerbLocks  = "locks"
	VerbSettle = "settle"
)

// CancelTimeout is how long a cancellation waits for its target to stop.
const CancelTimeout = 30 * time.Second

// builtIn are the actions that every executor offers, whatever its catalog says. What they are allowed to touch is decided by
// the records they are about.
var builtIn = map[string]Action{
	wire.ActionCancel: {
		Name: wire.ActionCancel, Kind: KindBuiltIn, Verb: VerbCancel, Class: Change, PerTarget: 1, Timeout: CancelTimeout,
		Params: []Param{ready(Param{Name: "id", Type: TypeString, Pattern: "action-id"})},
	},
	wire.ActionSettle: {
		Name: wire.ActionSettle, Kind: KindBuiltIn, Verb: VerbSettle, Class: Change, PerTarget: 1, Timeout: CancelTimeout,
		Params: []Param{
			ready(Param{Name: "id", Type: TypeString, Pattern: "action-id"}),
			{Name: "state", Type: TypeString, Allow: []string{wire.StateSucceeded, wire.StateFailed}},
			ready(Param{Name: "reason", Type: TypeString, Pattern: "line"}),
		},
	},
	wire.ActionLock: {
		Name: wire.ActionLock, Kind: KindBuiltIn, Verb: VerbLock, Class: Change, PerTarget: 1, Timeout: CancelTimeout,
		Params: []Param{
			ready(Param{Name: "env", Type: TypeString, Pattern: "place"}),
			ready(Param{Name: "name", Type: TypeString, Pattern: "place", Optional: true}),
			ready(Param{Name: "reason", Type: TypeString, Pattern: "line"}),
			{Name: "minutes", Type: TypeInt, Optional: true, Min: number(1), Max: number(wire.MaxLockMinutes)},
		},
	},
	wire.ActionUnlock: {
		Name: wire.ActionUnlock, Kind: KindBuiltIn, Verb: VerbUnlock, Class: Change, PerTarget: 1, Timeout: CancelTimeout,
		Params: []Param{
			ready(Param{Name: "env", Type: TypeString, Pattern: "place"}),
			ready(Param{Name: "name", Type: TypeString, Pattern: "place", Optional: true}),
			{Name: "force", Type: TypeBool, Optional: true},
		},
	},
	wire.ActionLocks: {
		Name: wire.ActionLocks, Kind: KindBuiltIn, Verb: VerbLocks, Class: Question, PerTarget: 1,
		Params: []Param{ready(Param{Name: "env", Type: TypeString, Pattern: "place", Optional: true})},
	},
}

// ready compiles the pattern of a parameter that no file names.
func ready(p Param) Param {
	p.re = regexp.MustCompile(anchored(patterns[p.Pattern]))
	return p
}

func number(n int64) *int64 { return &n }

// nodeParams are the parameters that every remote node has. What was typed is held against what the node offers and not
// against a bound of the catalog.
func nodeParams() []Param {
	return []Param{
		{Name: NodeInputs, Type: TypeString, Optional: true, limit: MaxInputs},
		{Name: NodeLang, Type: TypeString, Optional: true, Allow: []string{"zh", "en"}},
	}
}

package catalog

import (
	"regexp"
	"time"

	"palmops/libs/wire"
)

// Kinds of actions. KindBuiltIn needs no entry in a catalog: it is what every executor can do about its own actions.
const (
	KindKubernetes = "kubernetes" // works on the clusters under targets
	KindDrill      = "drill"      // touches nothing: for training people, and for trying the whole way
	KindBuiltIn    = "palmops"
)

// Verbs of the kind kubernetes.
const (
	VerbNamespaces  = "namespaces"  // items: the target's namespaces that exist
	VerbDeployments = "deployments" // items: name, and how many replicas are ready
	VerbDeployment  = "deployment"  // fields: replicas, ready, resource_version
	VerbBrowse      = "browse"      // a remote node: namespace, then deployment, then how it stands
	VerbScale       = "scale"       // sets the number of replicas and waits until they are ready
	VerbRestart     = "restart"     // replaces all pods, as kubectl rollout restart does, and waits until they are ready
)

// Verbs of the kind drill. All of them take any parameter besides those that they know.
const (
	VerbRun   = "run"   // waits, says its arguments, and prints as many lines as it was asked for
	VerbList  = "list"  // items: those of the settings, or item-0001 and so on
	VerbState = "state" // fields: those of the settings
	VerbGuide = "guide" // a remote node: the decision tree of the settings
)

// VerbCancel is the verb of the built-in action wire.ActionCancel.
const VerbCancel = "cancel"

// Limits of a drill.
const (
	MaxDrillSeconds = 600
	MaxDrillLines   = 20000
	MaxDrillItems   = 5000
)

// Verb is what a kind can do, as far as the catalog must know it.
type Verb struct {
	Read     bool
	Params   []Need
	Open     bool     // an action may declare other parameters than Params, of any type
	Settings []string // keys under settings that an action of this verb may have
	// Node says that the verb answers with a wire.View and takes NodeInputs and NodeLang, which no action declares.
	Node bool
}

// Arguments of a remote node; see wire.View.
const (
	NodeInputs = "inputs"
	NodeLang   = "lang"
)

// Need is one argument that a verb takes.
type Need struct {
	Name     string
	Type     string
	Optional bool // an action may leave it out of its params, or make it optional
	// Min and Max bound an int whatever the action says.
	Min, Max *int64
}

// Verbs says which verbs a kind has; false for an unknown kind and for the built-in one, which no file may name.
func Verbs(kind string) (map[string]Verb, bool) {
	verbs, ok := kinds[kind]
	return verbs, ok
}

var (
	namespace  = Need{Name: "namespace", Type: TypeString}
	deployment = Need{Name: "deployment", Type: TypeString}
)

var kinds = map[string]map[string]Verb{
	KindKubernetes: {
		VerbNamespaces:  {Read: true},
		VerbDeployments: {Read: true, Params: []Need{namespace}},
		VerbDeployment:  {Read: true, Params: []Need{namespace, deployment}},
		VerbBrowse:      {Read: true, Node: true},
		VerbScale: {Params: []Need{
			namespace, deployment,
			{Name: "replicas", Type: TypeInt},
			{Name: "from", Type: TypeInt, Optional: true},
		}},
		VerbRestart: {Params: []Need{namespace, deployment}},
	},
	KindDrill: {
		VerbRun: {Open: true, Params: []Need{
			optional("seconds", MaxDrillSeconds), optional("lines", MaxDrillLines),
		}},
		VerbList: {Read: true, Open: true, Settings: []string{"items", "delay"}, Params: []Need{
			optional("count", MaxDrillItems), {Name: "parent", Type: TypeString, Optional: true},
		}},
		VerbState: {Read: true, Open: true, Settings: []string{"fields", "delay"}},
		VerbGuide: {Read: true, Node: true, Settings: []string{"guide", "delay"}},
	},
}

// optional is an int from 0 to a limit that may be left out.
func optional(name string, limit int64) Need {
	return Need{Name: name, Type: TypeInt, Optional: true, Min: new(int64), Max: &limit}
}

// nodeParams are the parameters that every remote node has. What was typed is held against what the node offers and not
// against a bound of the catalog.
func nodeParams() []Param {
	return []Param{
		{Name: NodeInputs, Type: TypeString, Optional: true, free: true},
		{Name: NodeLang, Type: TypeString, Optional: true, Allow: []string{"zh", "en"}},
	}
}

// CancelTimeout is how long a cancellation waits for its target to stop.
const CancelTimeout = 30 * time.Second

// cancel is the action that every executor offers, whatever its catalog says. Whose actions may be cancelled is decided by
// the record of the target.
var cancel = Action{
	Name: wire.ActionCancel, Kind: KindBuiltIn, Verb: VerbCancel, Timeout: CancelTimeout,
	Params: []Param{{Name: "id", Type: TypeString, Pattern: "action-id", re: regexp.MustCompile(anchored(patterns["action-id"]))}},
}

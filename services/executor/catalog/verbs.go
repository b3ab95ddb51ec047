package catalog

// KindKubernetes is the kind of actions on Kubernetes clusters.
const KindKubernetes = "kubernetes"

// Verbs of the kind kubernetes.
const (
	VerbNamespaces  = "namespaces"  // items: the target's namespaces that exist
	VerbDeployments = "deployments" // items: name, and how many replicas are ready
	VerbDeployment  = "deployment"  // fields: replicas, ready, resource_version
	VerbScale       = "scale"       // sets the number of replicas and waits until they are ready
)

// Verb is what a kind can do, as far as the catalog must know it.
type Verb struct {
	Read   bool
	Params []Need
}

// Need is one argument that a verb takes.
type Need struct {
	Name     string
	Type     string
	Optional bool // an action may leave it out of its params, or make it optional
}

// Verbs says which verbs a kind has; false for an unknown kind.
func Verbs(kind string) (map[string]Verb, bool) {
	if kind != KindKubernetes {
		return nil, false
	}
	namespace := Need{Name: "namespace", Type: TypeString}
	deployment := Need{Name: "deployment", Type: TypeString}
	return map[string]Verb{
		VerbNamespaces:  {Read: true},
		VerbDeployments: {Read: true, Params: []Need{namespace}},
		VerbDeployment:  {Read: true, Params: []Need{namespace, deployment}},
		VerbScale: {Params: []Need{
			namespace, deployment,
			{Name: "replicas", Type: TypeInt},
			{Name: "from", Type: TypeInt, Optional: true},
		}},
	}, true
}

package kubernetes

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"palmops/services/executor/catalog"
)

// Name is what a catalog calls the kind, and Targets where it names the clusters.
const (
	Name    = "kubernetes"
	Targets = "clusters"
)

// Questions.
const (
	verbNamespaces   = "namespaces"   // items: the target's namespaces that exist
	verbDeployments  = "deployments"  // items: name, and how many replicas are ready
	verbDeployment   = "deployment"   // fields: replicas, ready, resource_version, revision, image
	verbStatefulSets = "statefulsets" // as deployments
	verbStatefulSet  = "statefulset"  // fields: replicas, ready, resource_version, image
	verbPods         = "pods"         // items: name, and status, ready containers, restarts, age
	verbPod          = "pod"          // fields: uid, status, ready, restarts, node, containers
	verbContainers   = "containers"   // items: the pod's containers, and how they are
	verbNodes        = "nodes"        // items: name, and whether it is ready and takes pods
	verbNode         = "node"         // fields: ready, schedulable, version
	verbRevisions    = "revisions"    // items: revision, and image, age and change cause; the newest first
	verbBrowse       = "browse"       // a remote node: namespace, then deployment, then how it stands
)

// Reports.
const (
	verbLogs     = "logs"     // the last lines of a container
	verbEvents   = "events"   // of a namespace or one object, the newest first
	verbDescribe = "describe" // what an operator needs to know about one object
	verbStatus   = "status"   // how far a rollout is
)

// Changes.
const (
	verbScale              = "scale"               // sets the number of replicas and waits until they are ready
	verbScaleStatefulSet   = "scale-statefulset"   // the same for a stateful set
	verbRestart            = "restart"             // replaces all pods, as kubectl rollout restart does, and waits until they are ready
	verbRestartStatefulSet = "restart-statefulset" // the same for a stateful set
	verbUndo               = "undo"                // sets the pod template of an earlier revision and waits until its pods are ready
	verbDeletePod          = "delete-pod"          // deletes one pod and waits until it is gone
	verbCordon             = "cordon"              // no new pods on a node
	verbUncordon           = "uncordon"            // new pods again
	verbDrain              = "drain"               // cordon, then evict the node's pods
)

// Names of parameters.
const (
	argNamespace   = "namespace"
	argDeployment  = "deployment"
	argStatefulSet = "statefulset"
	argPod         = "pod"
	argNode        = "node"
	argContainer   = "container"
	argSelector    = "selector"
	argReplicas    = "replicas"
	argFrom        = "from"
	argRevision    = "revision"
	argUID         = "uid"
	argTail        = "tail"
	argSince       = "since"
	argPrevious    = "previous"
	argGrace       = "grace"
	argLimit       = "limit"
)

// Limits of what may be asked for.
const (
	maxTail      = 5000 // lines
	defaultTail  = 200
	maxSince     = 7 * 24 * 60 // minutes
	maxGrace     = 1800        // seconds
	maxEvents    = 200
	defaultCount = 30 // events
)

// Cluster is one Kubernetes cluster: exactly one of Kubeconfig, InCluster and Server says how to reach it.
type Cluster struct {
	Name       string
	Kubeconfig string // path, resolved against the catalog's own
	Context    string // of the kubeconfig; its current one when empty
	InCluster  bool
	Server     string // URL of an API without authentication, as in practice
	Namespaces []string
	Nodes      bool // nodes may be cordoned, uncordoned and drained, with pods of any namespace
}

// DrainSettings say what a drain may lose.
type DrainSettings struct {
	Unmanaged bool // pods without a controller, which nobody makes anew
	LocalData bool // pods with emptyDir volumes, whose data is gone with them
}

var dnsLabel = regexp.MustCompile(`\A[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\z`)

var namespace = catalog.Need{Name: argNamespace, Type: catalog.TypeString, Allow: func(on any) []string { return on.(Cluster).Namespaces }}

// named is the name of an object.
func named(name string) catalog.Need { return catalog.Need{Name: name, Type: catalog.TypeString} }

// also makes a parameter one that an action may leave out.
func also(n catalog.Need) catalog.Need {
	n.Optional = true
	return n
}

func number(name string, least, most int64) catalog.Need {
	return catalog.Need{Name: name, Type: catalog.TypeInt, Optional: true, Min: &least, Max: &most}
}

// bounded is an optional text that is bounded enough by itself.
func bounded(name, pattern string) catalog.Need {
	return catalog.Need{Name: name, Type: catalog.TypeString, Optional: true, Pattern: pattern}
}

// Spec is what a catalog may say about this kind.
func Spec() catalog.Spec {
	verbs := map[string]catalog.Verb{}
	add := func(class catalog.Class, verb string, params ...catalog.Need) {
		verbs[verb] = catalog.Verb{Class: class, Params: params}
	}
	count := catalog.Need{Name: argReplicas, Type: catalog.TypeInt}
	from := catalog.Need{Name: argFrom, Type: catalog.TypeInt, Optional: true}
	uid := bounded(argUID, `[-0-9A-Za-z]{1,64}`)

	add(catalog.Question, verbNamespaces)
	add(catalog.Question, verbDeployments, namespace)
	add(catalog.Question, verbDeployment, namespace, named(argDeployment))
	add(catalog.Question, verbStatefulSets, namespace)
	add(catalog.Question, verbStatefulSet, namespace, named(argStatefulSet))
	add(catalog.Question, verbPods, namespace, also(named(argDeployment)), also(named(argStatefulSet)), bounded(argSelector, `[-A-Za-z0-9_./=!,() ]{1,253}`))
	add(catalog.Question, verbPod, namespace, named(argPod))
	add(catalog.Question, verbContainers, namespace, named(argPod))
	add(catalog.Question, verbNodes)
	add(catalog.Question, verbNode, named(argNode))
	add(catalog.Question, verbRevisions, namespace, named(argDeployment))
	verbs[verbBrowse] = catalog.Verb{Class: catalog.Question, Node: true}

	add(catalog.Report, verbLogs, namespace, named(argPod), bounded(argContainer, "dns-label"),
		number(argTail, 1, maxTail), number(argSince, 1, maxSince), catalog.Need{Name: argPrevious, Type: catalog.TypeBool, Optional: true})
	add(catalog.Report, verbEvents, namespace, also(named(argDeployment)), also(named(argStatefulSet)), also(named(argPod)), number(argLimit, 1, maxEvents))
	add(catalog.Report, verbDescribe, also(namespace), also(named(argDeployment)), also(named(argStatefulSet)), also(named(argPod)), also(named(argNode)))
	add(catalog.Report, verbStatus, namespace, also(named(argDeployment)), also(named(argStatefulSet)))

	add(catalog.Change, verbScale, namespace, named(argDeployment), count, from)
	add(catalog.Change, verbScaleStatefulSet, namespace, named(argStatefulSet), count, from)
	add(catalog.Change, verbRestart, namespace, named(argDeployment))
	add(catalog.Change, verbRestartStatefulSet, namespace, named(argStatefulSet))
	add(catalog.Change, verbUndo, namespace, named(argDeployment), number(argRevision, 0, 1<<31-1), number(argFrom, 0, 1<<31-1))
	add(catalog.Change, verbDeletePod, namespace, named(argPod), uid, number(argGrace, 0, maxGrace))
	add(catalog.Change, verbCordon, named(argNode))
	add(catalog.Change, verbUncordon, named(argNode))
	add(catalog.Change, verbDrain, named(argNode), number(argGrace, 0, maxGrace))

	with := func(verb string, settings func(*catalog.Section, catalog.Action) any) {
		v := verbs[verb]
		v.Settings = settings
		verbs[verb] = v
	}
	with(verbCordon, onNodes)
	with(verbUncordon, onNodes)
	with(verbDrain, readDrain)
	with(verbDescribe, func(s *catalog.Section, a catalog.Action) any {
		return oneOf(s, a, argDeployment, argStatefulSet, argPod, argNode)
	})
	with(verbStatus, func(s *catalog.Section, a catalog.Action) any { return oneOf(s, a, argDeployment, argStatefulSet) })
	return catalog.Spec{Name: Name, Targets: Targets, Target: readCluster, Verbs: verbs, Schema: []byte(schemaFragment)}
}

const schemaFragment = `{
  "target": {
    "type": "object",
    "description": "A Kubernetes cluster; exactly one of kubeconfig, in_cluster and server says how to reach it.",
    "properties": {
      "kubeconfig": {"$ref": "#/$defs/text", "description": "Path, relative to this file."},
      "context": {"$ref": "#/$defs/text", "description": "Of the kubeconfig; its current one when left out."},
      "in_cluster": {"type": "boolean", "description": "The executor runs in the cluster and uses its service account."},
      "server": {"type": "string", "description": "URL of an API without authentication."},
      "namespaces": {"type": "array", "minItems": 1, "uniqueItems": true, "items": {"$ref": "#/$defs/text", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}, "description": "Nothing outside them is listed or touched, but for the pods of a drained node."},
      "nodes": {"type": "boolean", "description": "Nodes may be cordoned, uncordoned and drained."}
    },
    "required": ["namespaces"],
    "additionalProperties": false
  },
  "settings": {
    "drain": {
      "type": "object",
      "properties": {
        "unmanaged": {"type": "boolean", "description": "Also evict pods that no controller makes anew."},
        "local_data": {"type": "boolean", "description": "Also evict pods with emptyDir volumes, whose data is lost."}
      },
      "additionalProperties": false
    }
  }
}`

// readCluster reads an entry under targets.clusters.
func readCluster(s *catalog.Section) any {
	var in struct {
		Kubeconfig string   `yaml:"kubeconfig"`
		Context    string   `yaml:"context"`
		InCluster  bool     `yaml:"in_cluster"`
		Server     string   `yaml:"server"`
		Namespaces []string `yaml:"namespaces"`
		Nodes      bool     `yaml:"nodes"`
	}
	s.Decode(&in)
	ways := 0
	for _, set := range []bool{in.Kubeconfig != "", in.InCluster, in.Server != ""} {
		if set {
			ways++
		}
	}
	if ways != 1 {
		s.Bad(nil, "exactly one of kubeconfig, in_cluster and server must say how to reach it")
	}
	if in.Context != "" && in.Kubeconfig == "" {
		s.Bad(s.At("context"), "context is one of a kubeconfig, and there is none")
	}
	if in.Server != "" {
		u, err := url.Parse(in.Server)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			s.Bad(s.At("server"), "server must be an http or https URL without credentials")
		}
	}
	if len(in.Namespaces) == 0 {
		s.Bad(nil, "namespaces must name at least one namespace that may be touched")
	}
	for i, ns := range in.Namespaces {
		if !dnsLabel.MatchString(ns) {
			s.Bad(s.At("namespaces"), "%q is not the name of a namespace", ns)
		}
		if slices.Contains(in.Namespaces[:i], ns) {
			s.Bad(s.At("namespaces"), "namespace %s is named twice", ns)
		}
	}
	return Cluster{
		Name: s.Name, Kubeconfig: s.Near(in.Kubeconfig), Context: in.Context, InCluster: in.InCluster, Server: in.Server,
		Namespaces: in.Namespaces, Nodes: in.Nodes,
	}
}

// onNodes refuses an action that changes nodes of a cluster which does not allow that.
func onNodes(s *catalog.Section, a catalog.Action) any {
	if s.Given() {
		s.Bad(nil, "the verb %s takes no settings", a.Verb)
	}
	nodesAllowed(s, a)
	return nil
}

func nodesAllowed(s *catalog.Section, a catalog.Action) {
	if c, known := a.On.(Cluster); known && !c.Nodes {
		s.Bad(nil, "%s changes nodes, and cluster %s does not say nodes: true", a.Verb, c.Name)
	}
}

func readDrain(s *catalog.Section, a catalog.Action) any {
	var in struct {
		Unmanaged bool `yaml:"unmanaged"`
		LocalData bool `yaml:"local_data"`
	}
	s.Decode(&in)
	nodesAllowed(s, a)
	return DrainSettings{Unmanaged: in.Unmanaged, LocalData: in.LocalData}
}

// oneOf holds that an action names what it is about: one of some parameters, or several that are all optional, of which one is given.
func oneOf(s *catalog.Section, a catalog.Action, names ...string) any {
	if s.Given() {
		s.Bad(nil, "the verb %s takes no settings", a.Verb)
	}
	var there []string
	needed, inside := 0, false
	for _, n := range names {
		p, given := a.Param(n)
		if !given {
			continue
		}
		there = append(there, n)
		if !p.Optional {
			needed++
		}
		inside = inside || n != argNode
	}
	if len(there) == 0 || len(there) > 1 && needed > 0 {
		s.Bad(nil, "%s needs one of the parameters %s, or several that are all optional", a.Verb, strings.Join(names, ", "))
	}
	if ns, given := a.Param(argNamespace); inside && (!given || ns.Optional && !slices.Contains(there, argNode)) {
		s.Bad(nil, "%s needs the parameter namespace", a.Verb)
	}
	return nil
}

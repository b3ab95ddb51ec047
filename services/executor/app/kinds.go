package app

import (
	"maps"

	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/drill"
	"palmops/services/executor/internal/kind/kubernetes"
)

// kinds is the one list of everything this executor can do.
func kinds(clusters map[string]catalog.Cluster) (map[string]kind.Kind, error) {
	k8s, err := kubernetes.New(clusters)
	if err != nil {
		return nil, err
	}
	return map[string]kind.Kind{
		catalog.KindKubernetes: k8s,
		catalog.KindDrill:      drill.New(),
	}, nil
}

// clusters are the catalog's, each reached as the options say.
func clusters(c *catalog.Catalog, o Options) map[string]catalog.Cluster {
	out := maps.Clone(c.Clusters)
	for name, cl := range out {
		if host := o.KubeHosts[name]; host != "" {
			cl.Server, cl.Kubeconfig, cl.InCluster = host, "", false
		}
		if o.Kubeconfig != "" {
			cl.Server, cl.Kubeconfig, cl.InCluster = "", o.Kubeconfig, false
		}
		out[name] = cl
	}
	return out
}

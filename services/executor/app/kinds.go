package app

import (
	"slices"

	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/endpoint"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/command"
	"palmops/services/executor/internal/kind/drill"
	"palmops/services/executor/internal/kind/http"
	"palmops/services/executor/internal/kind/kubernetes"
	"palmops/services/executor/internal/kind/mysql"
	"palmops/services/executor/internal/kind/prometheus"
	"palmops/services/executor/internal/kind/redis"
	"palmops/services/executor/internal/kind/workflow"
)

// Kinds are what a catalog may use.
func Kinds() catalog.Kinds {
	return catalog.Kinds{kubernetes.Spec(), drill.Spec(), command.Spec(), http.Spec(), prometheus.Spec(), mysql.Spec(), redis.Spec(), workflow.Spec()}
}

// kinds makes the one list of everything this executor can do.
func kinds(c *catalog.Catalog, o Options) (map[string]kind.Kind, error) {
	out := map[string]kind.Kind{drill.Name: drill.New()}
	// A kind that the catalog has no targets for is not made: it would only cost memory.
	if all := clusters(c, o); len(all) > 0 {
		k, err := kubernetes.New(all)
		if err != nil {
			return nil, err
		}
		out[kubernetes.Name] = k
	}
	if uses(c, command.Name) {
		k, err := command.New(c)
		if err != nil {
			return nil, err
		}
		out[command.Name] = k
	}
	if all := catalog.Targets[endpoint.Target](c, http.Targets); len(all) > 0 {
		k, err := http.New(all)
		if err != nil {
			return nil, err
		}
		out[http.Name] = k
	}
	if all := catalog.Targets[mysql.Server](c, mysql.Targets); len(all) > 0 {
		k, err := mysql.New(all)
		if err != nil {
			return nil, err
		}
		out[mysql.Name] = k
	}
	if all := catalog.Targets[redis.Server](c, redis.Targets); len(all) > 0 {
		k, err := redis.New(all)
		if err != nil {
			return nil, err
		}
		out[redis.Name] = k
	}
	if all := catalog.Targets[prometheus.Target](c, prometheus.Targets); len(all) > 0 {
		k, err := prometheus.New(all)
		if err != nil {
			return nil, err
		}
		out[prometheus.Name] = k
	}
	if uses(c, workflow.Name) {
		out[workflow.Name] = workflow.New(c, out) // its steps may be of any kind there is
	}
	return out, nil
}

// uses reports whether a catalog has actions of a kind.
func uses(c *catalog.Catalog, name string) bool {
	return slices.ContainsFunc(c.Actions(), func(a catalog.Action) bool { return a.Kind == name })
}

// clusters are the catalog's, each reached as the options say.
func clusters(c *catalog.Catalog, o Options) map[string]kubernetes.Cluster {
	out := catalog.Targets[kubernetes.Cluster](c, kubernetes.Targets)
	for name, cl := range out {
		if o.KubeServer != "" {
			cl.Server, cl.Kubeconfig, cl.InCluster = o.KubeServer, "", false
		}
		if o.Kubeconfig != "" {
			cl.Server, cl.Kubeconfig, cl.InCluster = "", o.Kubeconfig, false
		}
		out[name] = cl
	}
	return out
}

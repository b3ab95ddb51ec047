package control

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Context is one context of a kubeconfig: a user of a cluster.
type Context struct {
	Name    string
	Cluster *Cluster
	User    string
}

// WriteConfig writes a kubeconfig. Current may be "": whoever uses it then has to name a context.
func WriteConfig(path, current string, contexts ...Context) error {
	cfg := api.NewConfig()
	cfg.CurrentContext = current
	if current == "" && len(contexts) == 1 {
		cfg.CurrentContext = contexts[0].Name
	}
	for _, c := range contexts {
		cluster := api.NewCluster()
		cluster.Server, cluster.CertificateAuthority = c.Cluster.URL, c.Cluster.plane.authority.File()
		cfg.Clusters[c.Cluster.Name] = cluster
		user := api.NewAuthInfo()
		user.Token = c.Cluster.plane.tokens[c.User]
		cfg.AuthInfos[c.User] = user
		in := api.NewContext()
		in.Cluster, in.AuthInfo = c.Cluster.Name, c.User
		cfg.Contexts[c.Name] = in
	}
	if err := clientcmd.WriteToFile(*cfg, path); err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	return nil
}

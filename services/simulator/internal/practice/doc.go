// Package practice is a Kubernetes API to practise on: namespaces, deployments and pods behind the real paths and with the real
// JSON, so that an unmodified client-go, or kubectl, lists, gets, updates, patches, scales and watches them.
//
// There are no nodes and no containers. A controller plays the part of the cluster: a changed deployment is observed at
// once, and then pods become ready, or go, one by one at a fixed pace. Everything else is as a client sees it in a
// real cluster: resource versions and conflicts (409), paging, watches that start at a resource version and end with 410 when that
// is too old, bookmarks, the scale subresource, and refusals as metav1.Status. Requests may be JSON, YAML or protobuf; answers
// are always JSON, which every client accepts. There is no authentication: it must listen on a loopback address only.
//
// The whole state is one file, replaced at each change before anybody sees the change, so that it survives a restart.
package practice

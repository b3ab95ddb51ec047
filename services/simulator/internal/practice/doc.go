// Package practice is a Kubernetes API to practise on: namespaces, nodes, deployments with their replica sets, stateful sets, pods with
// logs, and events, behind the real paths and with the real JSON, so that an unmodified client-go, or kubectl, lists, gets,
// patches, scales, evicts and watches them.
//
// There are no machines and no containers. A controller plays the part of the cluster: what was changed is observed at
// once, and then pods become ready, or go, one by one at a fixed pace. Logs are made up from the time, so that everybody reads the same.
// Everything else is as a client sees it in a real cluster: resource versions and conflicts (409), paging, watches that start at
// a resource version and end with 410 when that is too old, bookmarks, revisions, the scale and eviction subresources, and
// refusals as metav1.Status. Requests may be JSON, YAML or protobuf; answers are always JSON, which every client accepts. There
// is no authentication: it must listen on a loopback address only.
//
// To practise on: shop/stuck never gets more than one pod ready, shop/api has earlier revisions to go back to, and evictions leave
// two pods of pay/gateway ready (429), as a PodDisruptionBudget would.
//
// The whole state is one file, replaced at each change before anybody sees the change, so that it survives a restart.
package practice

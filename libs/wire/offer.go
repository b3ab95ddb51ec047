package wire

import "fmt"

// ServiceExecutor is the name under which executors announce themselves in the NATS services protocol (nats.go micro), so
// that "nats micro ls", palmops doctor and the help in the chat find them. Their metadata:
const (
	ServiceExecutor = "palmops-executor"

	MetaZone     = "zone"
	MetaPool     = "pool"
	MetaInstance = "instance"
	MetaCatalog  = "catalog" // digest of the catalog: Offer.Digest
	MetaActions  = "actions" // how many it offers, decimal
)

// Offer is what an executor will do, as its catalog says it: the answer on OfferSubject.
type Offer struct {
	V        int             `json:"v"`
	Zone     string          `json:"zone"`
	Pool     string          `json:"pool"`
	Instance string          `json:"instance"`
	Version  string          `json:"version"` // of the program
	Digest   string          `json:"digest"`  // of the catalog, hex; replicas of one pool must have the same
	Actions  []OfferedAction `json:"actions"`
}

// OfferedAction is one action of an Offer. Class is question, report or change.
type OfferedAction struct {
	Name   string         `json:"name"`
	Class  string         `json:"class"`
	Kind   string         `json:"kind"`
	Verb   string         `json:"verb"`
	Env    string         `json:"env,omitempty"`
	Params []OfferedParam `json:"params,omitempty"`
}

// OfferedParam is an argument of an OfferedAction and its bounds.
type OfferedParam struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"` // string, int, bool
	Optional bool     `json:"optional,omitempty"`
	Allow    []string `json:"allow,omitempty"`
	Pattern  string   `json:"pattern,omitempty"`
	Min      *int64   `json:"min,omitempty"`
	Max      *int64   `json:"max,omitempty"`
}

// OfferSubject is where one executor of a pool tells what it offers; the request is empty.
func OfferSubject(zone, pool string) string {
	return fmt.Sprintf("offer.%s.%s", Token(zone), Token(pool))
}

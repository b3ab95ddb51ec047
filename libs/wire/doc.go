// Package wire is the only contract between the services: stream names, subjects and envelopes.
//
// Every envelope carries V, the version of its form. A reader of version n reads n-1 and n+1 as well: it ignores
// fields it does not know and treats a missing field as its zero value, so a field is only ever added, with a
// harmless zero value, and never renamed or reused. The frozen forms are the JSON files in testdata.
//
// The way of one message through the subjects is
//
//	gateway  ─ in.<partition>.<corp>.<app>.<user> ─►  dialog      stream IN
//	dialog   ─ reply.<corp>.<app>.<id>            ─►  gateway     core request, answered once the reply is with WeCom
//	dialog   ─ act.<zone>.<pool>.<action>.<id>    ─►  executor    stream ACT
//	dialog   ─ ask.<zone>.<pool>.<action>         ─►  executor    core request: lists and current values
//	anyone   ─ offer.<zone>.<pool>                ─►  executor    core request: what the pool offers
//	executor ─ res.<corp>.<app>.<id>              ─►  dialog      stream RES
//	dialog   ─ out.<partition>.<corp>.<app>.<user> ─► gateway     stream OUT
//	gateway  ─ said.<corp>.<app>                  ─►  dialog      core request: what was answered to this message
//	dialog   ─ dir.<corp>.<app>                   ─►  gateway     core request: who is this person
//	everyone ─ audit.<corp>.<service>             ─►  AUDIT
package wire

// Version is the version of the envelopes this package writes.
const Version = 1

// Streams and buckets.
const (
	StreamIn    = "IN"
	StreamAct   = "ACT"
	StreamRes   = "RES"
	StreamOut   = "OUT"
	StreamAudit = "AUDIT"
	StreamAdv   = "ADV"

	BucketActions  = "ACTIONS"
	BucketRequests = "REQUESTS" // dialog's: menu and policy revisions, later approvals and enrolments
	BucketOutputs  = "OUTPUTS"  // object store: outputs too large for a message, 7 days
)

// InPartitions and OutPartitions are how many ordered lanes a stream has. One user is always on the same lane,
// a lane delivers one message at a time. Changing a number needs drained streams.
const (
	InPartitions  = 16
	OutPartitions = 8
)

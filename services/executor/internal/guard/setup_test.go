package guard

import (
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
)

// practice is a kind that the catalog of these tests may use; nothing here carries an action out.
var practice = catalog.Spec{Name: "practice", Verbs: map[string]catalog.Verb{
	"names":  {Class: catalog.Question, Open: true},
	"status": {Class: catalog.Report, Open: true},
	"scale":  {Class: catalog.Change, Open: true},
}}

const catalogText = `
version: 1
zone: local
pool: k8s
actions:
  k8s.namespaces: {kind: practice, verb: names}
  k8s.status: {kind: practice, verb: status}
  k8s.nightly: {kind: practice, verb: scale, when: {days: [mon, tue, wed, fri], from: "22:00", to: "06:00"}}
  k8s.scale:
    kind: practice
    verb: scale
    params:
      namespace: {type: string, allow: [shop, pay]}
      deployment: {type: string, pattern: dns-label}
      replicas: {type: int, min: 0, max: 20}
      from: {type: int, optional: true}
`

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// bench is a guard and the signer whose tokens it believes.
type bench struct {
	t     testing.TB
	guard *Guard
	keys  token.KeySet
	clock time.Time
}

func newBench(t testing.TB) *bench {
	t.Helper()
	cat, err := catalog.Decode("catalog.yaml", []byte(catalogText), catalog.Kinds{practice})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := token.NewKeySet("local", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(cat, keys)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, guard: g, keys: keys, clock: now}
}

func (b *bench) claims() wire.Claims {
	return wire.Claims{
		V: 1, ID: "abcdefghijklmnopqrstuvwxyz", Corp: "wwcorp", App: "ops", User: "zhangsan", Zone: "local", Pool: "k8s", Action: "k8s.scale",
		IssuedAt: b.clock.Unix(), Expires: b.clock.Add(2 * time.Minute).Unix(),
	}
}

func args() map[string]any {
	return map[string]any{"namespace": "shop", "deployment": "web", "replicas": int64(5), "from": int64(3)}
}

func (b *bench) sign(c wire.Claims, keys token.KeySet) string {
	b.t.Helper()
	l, err := keys.Layered(token.Options{Now: func() time.Time { return b.clock }})
	if err != nil {
		b.t.Fatal(err)
	}
	text, err := l.Dumps(c)
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

// order signs claims over arguments.
func (b *bench) order(c wire.Claims, args map[string]any) wire.Action {
	b.t.Helper()
	raw, err := wire.CanonicalArgs(args)
	if err != nil {
		b.t.Fatal(err)
	}
	c.ArgsHash = wire.ArgsHash(raw)
	return wire.Action{V: 1, ID: c.ID, Token: b.sign(c, b.keys), Args: raw}
}

func encode(t testing.TB, a wire.Action) []byte {
	t.Helper()
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

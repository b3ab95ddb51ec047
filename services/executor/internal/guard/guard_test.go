package guard

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"palmops/libs/fault"
	"palmops/libs/lang/langtest"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
)

func TestAGoodOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	o, err := b.guard.Order(encode(t, b.order(b.claims(), args())), now)
	if err != nil {
		t.Fatal(err)
	}
	if o.Claims.User != "zhangsan" || o.Action.Verb != "scale" || o.Args["replicas"] != int64(5) || o.Args["namespace"] != "shop" {
		t.Errorf("%+v", o)
	}
	// The same order to its last second, and from a signer whose clock is ahead.
	for _, at := range []time.Time{now.Add(2 * time.Minute), now.Add(-Leeway)} {
		if _, err := b.guard.Order(encode(t, b.order(b.claims(), args())), at); err != nil {
			t.Errorf("at %s: %v", at, err)
		}
	}
}

// TestCancelNeedsNoEntry: the built-in action is an order like any other, and never a question.
func TestCancelNeedsNoEntry(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.claims()
	c.Action = wire.ActionCancel
	target := wire.DeriveID("target")
	o, err := b.guard.Order(encode(t, b.order(c, map[string]any{"id": target})), now)
	if err != nil || o.Action.Kind != catalog.KindBuiltIn || o.Args["id"] != target {
		t.Errorf("%+v, %v", o, err)
	}
	c.Read, c.Expires = true, now.Add(10*time.Second).Unix()
	var no *Refusal
	if _, err := b.guard.Question(encode(t, b.order(c, map[string]any{"id": target})), now); !errors.As(err, &no) || no.Reason != Read {
		t.Errorf("as a question: %v", err)
	}
	c.Read = false
	if _, err := b.guard.Order(encode(t, b.order(c, map[string]any{"id": "lock.local.x"})), now); !errors.As(err, &no) || no.Reason != Args {
		t.Errorf("an id that is a lock: %v", err)
	}
}

// TestLanguages: a refusal is in the language of the person, also when only the message itself says which one that is.
func TestLanguages(t *testing.T) {
	t.Parallel()
	langtest.Check(t, texts, ".")
	b := newBench(t)
	foreign, err := token.NewKeySet("local", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[string]string{"": "没有执行任何操作", "zh": "没有执行任何操作", "en": "Nothing was done"} {
		c := b.claims()
		c.Lang = tag
		late := c
		late.IssuedAt, late.Expires = now.Unix()-200, now.Unix()-100
		tooMany := args()
		tooMany["replicas"] = 21
		forged := b.order(c, args())
		forged.Token = b.sign(c, foreign)
		for name, a := range map[string]wire.Action{"expired": b.order(late, args()), "range": b.order(c, tooMany), "forged": forged} {
			_, err := b.guard.Order(encode(t, a), now)
			var no *Refusal
			if !errors.As(err, &no) || !strings.Contains(fault.Safe(err), want) || no.Claims.Lang != tag {
				t.Errorf("%s in %q: %v: %s", name, tag, err, fault.Safe(err))
			}
		}
	}
}

func TestAGoodQuestion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.claims()
	c.Action, c.Read, c.Expires = "k8s.namespaces", true, now.Add(10*time.Second).Unix()
	if _, err := b.guard.Question(encode(t, b.order(c, nil)), now); err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	type made = func(b *bench) wire.Action
	with := func(change func(c *wire.Claims)) made {
		return func(b *bench) wire.Action {
			c := b.claims()
			change(&c)
			return b.order(c, args())
		}
	}
	withArgs := func(change func(a map[string]any)) made {
		return func(b *bench) wire.Action {
			a := args()
			change(a)
			return b.order(b.claims(), a)
		}
	}
	for name, c := range map[string]struct {
		order  made
		reason Reason
		kind   fault.Kind
		state  string
		proven bool
	}{
		"one letter changed": {func(b *bench) wire.Action {
			a := b.order(b.claims(), args())
			i := len(a.Token) / 3
			swap := byte('A')
			if a.Token[i] == 'A' {
				swap = 'B'
			}
			a.Token = a.Token[:i] + string(swap) + a.Token[i+1:]
			return a
		}, Signature, fault.Denied, wire.StateRejected, false},
		"no token": {func(b *bench) wire.Action {
			a := b.order(b.claims(), args())
			a.Token = ""
			return a
		}, Signature, fault.Denied, wire.StateRejected, false},
		"foreign keys": {func(b *bench) wire.Action {
			foreign, err := token.NewKeySet("local", rand.Reader)
			if err != nil {
				b.t.Fatal(err)
			}
			a := b.order(b.claims(), args())
			a.Token = b.sign(b.claims(), foreign)
			return a
		}, Signature, fault.Denied, wire.StateRejected, false},
		"only the stamp is ours": {func(b *bench) wire.Action {
			foreign, err := token.NewKeySet("local", rand.Reader)
			if err != nil {
				b.t.Fatal(err)
			}
			foreign.Stamp = b.keys.Stamp
			a := b.order(b.claims(), args())
			a.Token = b.sign(b.claims(), foreign)
			return a
		}, Signature, fault.Denied, wire.StateRejected, false},
		"expired":             {with(func(c *wire.Claims) { c.IssuedAt -= 121; c.Expires = now.Unix() - 1 }), Expired, fault.Expired, wire.StateExpired, true},
		"early":               {with(func(c *wire.Claims) { c.IssuedAt += 31; c.Expires += 31 }), Early, fault.Expired, wire.StateRejected, true},
		"valid too long":      {with(func(c *wire.Claims) { c.Expires = now.Add(25 * time.Hour).Unix() }), Lifetime, fault.Denied, wire.StateRejected, true},
		"no sense of time":    {with(func(c *wire.Claims) { c.Expires = 1 << 60 }), Lifetime, fault.Invalid, wire.StateRejected, true},
		"before the epoch":    {with(func(c *wire.Claims) { c.IssuedAt = -5 }), Lifetime, fault.Invalid, wire.StateRejected, true},
		"expiry before issue": {with(func(c *wire.Claims) { c.Expires = c.IssuedAt - 1 }), Lifetime, fault.Denied, wire.StateRejected, true},
		"other zone":          {with(func(c *wire.Claims) { c.Zone = "west" }), Zone, fault.Denied, wire.StateRejected, true},
		"other pool":          {with(func(c *wire.Claims) { c.Pool = "mysql" }), Pool, fault.Denied, wire.StateRejected, true},
		"other id": {func(b *bench) wire.Action {
			a := b.order(b.claims(), args())
			a.ID = "zyxwvutsrqponmlkjihgfedcba"
			return a
		}, ID, fault.Denied, wire.StateRejected, true},
		"an id that is a lock": {with(func(c *wire.Claims) { c.ID = "lock.local.0123456789ab" }), ID, fault.Denied, wire.StateRejected, true},
		"no id":                {with(func(c *wire.Claims) { c.ID = "" }), ID, fault.Denied, wire.StateRejected, true},
		"changed arguments": {func(b *bench) wire.Action {
			a := b.order(b.claims(), args())
			a.Args = json.RawMessage(strings.Replace(string(a.Args), `"replicas":5`, `"replicas":0`, 1))
			return a
		}, Digest, fault.Denied, wire.StateRejected, true},
		"no arguments": {func(b *bench) wire.Action {
			a := b.order(b.claims(), args())
			a.Args = nil
			return a
		}, Digest, fault.Denied, wire.StateRejected, true},
		"unknown action":         {with(func(c *wire.Claims) { c.Action = "k8s.delete" }), Unknown, fault.Denied, wire.StateRejected, true},
		"a question as an order": {with(func(c *wire.Claims) { c.Read = true }), Read, fault.Denied, wire.StateRejected, true},
		"a read as an order": {func(b *bench) wire.Action {
			c := b.claims()
			c.Action = "k8s.namespaces"
			return b.order(c, nil)
		}, Read, fault.Denied, wire.StateRejected, true},
		"extra argument":    {withArgs(func(a map[string]any) { a["force"] = true }), Args, fault.Invalid, wire.StateRejected, true},
		"missing argument":  {withArgs(func(a map[string]any) { delete(a, "replicas") }), Args, fault.Invalid, wire.StateRejected, true},
		"wrong type":        {withArgs(func(a map[string]any) { a["replicas"] = "5" }), Args, fault.Invalid, wire.StateRejected, true},
		"below range":       {withArgs(func(a map[string]any) { a["replicas"] = -1 }), Args, fault.Invalid, wire.StateRejected, true},
		"above range":       {withArgs(func(a map[string]any) { a["replicas"] = 21 }), Args, fault.Invalid, wire.StateRejected, true},
		"foreign namespace": {withArgs(func(a map[string]any) { a["namespace"] = "kube-system" }), Args, fault.Denied, wire.StateRejected, true},
		"no name":           {withArgs(func(a map[string]any) { a["deployment"] = "web\n../pay" }), Args, fault.Invalid, wire.StateRejected, true},
		"signed, not canonical": {func(b *bench) wire.Action {
			raw := json.RawMessage(`{"replicas": 5}`)
			c := b.claims()
			c.ArgsHash = wire.ArgsHash(raw)
			return wire.Action{ID: c.ID, Token: b.sign(c, b.keys), Args: raw}
		}, Digest, fault.Denied, wire.StateRejected, true}, // the envelope's own encoding takes the space out
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			_, err := b.guard.Order(encode(t, c.order(b)), now)
			var no *Refusal
			if !errors.As(err, &no) {
				t.Fatalf("not refused: %v", err)
			}
			if no.Reason != c.reason || fault.KindOf(err) != c.kind || no.State() != c.state || no.Proven != c.proven {
				t.Errorf("%s, %s, %s, proven %t: %v", no.Reason, fault.KindOf(err), no.State(), no.Proven, err)
			}
			if text := fault.Safe(err); !strings.Contains(text, "没有执行任何操作") {
				t.Errorf("text %q", text)
			}
			if c.proven && no.Claims.User != "zhangsan" {
				t.Errorf("claims %+v", no.Claims)
			}
		})
	}
}

func TestQuestionsAreJudgedHarder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(c *wire.Claims)
		reason Reason
	}{
		"valid too long": {func(c *wire.Claims) { c.Expires = now.Add(11 * time.Second).Unix() }, Lifetime},
		"an order":       {func(c *wire.Claims) { c.Read = false }, Read},
		"changes things": {func(c *wire.Claims) { c.Action = "k8s.scale" }, Read},
		"too late":       {func(c *wire.Claims) { c.IssuedAt -= 11; c.Expires -= 11 }, Expired},
	} {
		b := newBench(t)
		cl := b.claims()
		cl.Action, cl.Read, cl.Expires = "k8s.namespaces", true, now.Add(10*time.Second).Unix()
		c.change(&cl)
		_, err := b.guard.Question(encode(t, b.order(cl, nil)), now)
		var no *Refusal
		if !errors.As(err, &no) || no.Reason != c.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsNoOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, c := range map[string]struct {
		data   []byte
		reason Reason
	}{
		"nothing":    {nil, Form},
		"no JSON":    {[]byte("scale web to 5"), Form},
		"an array":   {[]byte("[]"), Form},
		"1 MiB":      {make([]byte, 1<<20), Size},
		"long token": {encode(t, wire.Action{ID: "a", Token: strings.Repeat("a", MaxToken+1)}), Size},
		"empty":      {[]byte("{}"), Signature},
	} {
		_, err := b.guard.Order(c.data, now)
		var no *Refusal
		if !errors.As(err, &no) || no.Reason != c.reason || no.Proven {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRotation: an old key counts as long as it is in the set, and no longer.
func TestRotation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	data := encode(t, b.order(b.claims(), args()))
	for keep, good := range map[int]bool{2: true, 1: false} {
		next, err := b.keys.Rotated(rand.Reader, keep)
		if err != nil {
			t.Fatal(err)
		}
		g, err := New(b.guard.cat, next)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Order(data, now); (err == nil) != good {
			t.Errorf("%d keys kept: %v", keep, err)
		}
	}
	other := b.keys
	other.Zone = "west"
	if _, err := New(b.guard.cat, other); !fault.Is(err, fault.Invalid) {
		t.Errorf("another zone's keys: %v", err)
	}
}

// TestHearsay: who a forgery names is read for telling that person, from plain and from compressed tokens, and only when the ids agree.
func TestHearsay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	foreign, err := token.NewKeySet("local", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, title := range []string{"", strings.Repeat("shop/web 副本数 3 → 5 ", 20)} {
		c := b.claims()
		c.Title = title
		a := wire.Action{ID: c.ID, Token: b.sign(c, foreign)}
		got := hearsay(a)
		if want := (wire.Claims{ID: c.ID, Corp: "wwcorp", App: "ops", User: "zhangsan"}); got.ID != want.ID || got.Corp != want.Corp || got.App != want.App || got.User != want.User || got.Title != "" {
			t.Errorf("title of %d bytes: %+v", len(title), got)
		}
		a.ID = "zyxwvutsrqponmlkjihgfedcba"
		if got := hearsay(a); got.ID != "" {
			t.Errorf("another id: %+v", got)
		}
	}
}

// TestAnyChangeOfAnOrderIsRefused changes one byte of the message in any way.
func TestAnyChangeOfAnOrderIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	good := b.order(b.claims(), args())
	rapid.Check(t, func(t *rapid.T) {
		a := good
		part := rapid.SampledFrom([]*string{&a.ID, &a.Token}).Draw(t, "part")
		i := rapid.IntRange(0, len(*part)-1).Draw(t, "at")
		c := rapid.SampledFrom([]byte("ABCabc019-_.=% ")).Draw(t, "byte")
		if (*part)[i] == c {
			t.Skip("no change")
		}
		*part = (*part)[:i] + string(c) + (*part)[i+1:]
		data, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.guard.Order(data, now); err == nil {
			t.Fatalf("accepted with %q at %d", c, i)
		}
	})
}

func FuzzOrder(f *testing.F) {
	b := newBench(f)
	f.Add(encode(f, b.order(b.claims(), args())))
	f.Add([]byte(`{"id":"abcdefgh","token":".eJx.a.b.c","args":{}}`))
	f.Add([]byte(`{"token":"e30.a.b.c"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, judge := range []func([]byte, time.Time) (Order, error){b.guard.Order, b.guard.Question} {
			o, err := judge(data, now)
			var no *Refusal
			if err == nil && o.Claims.ID == "" || err != nil && (!errors.As(err, &no) || no.Reason == "" || fault.Safe(err) == "") {
				t.Fatalf("%+v, %v", o, err)
			}
		}
	})
}

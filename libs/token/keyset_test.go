package token

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"palmops/libs/fault"
)

func mustKeySet(t *testing.T) KeySet {
	t.Helper()
	k, err := NewKeySet("local", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustLayered(t *testing.T, k KeySet, o Options) *Layered {
	t.Helper()
	l, err := k.Layered(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestKeySetRoundTrip(t *testing.T) {
	k := mustKeySet(t)
	text, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseKeySet(append(text, " \n"...))
	if err != nil || fmt.Sprint(back.Payload, back.Stamp) != fmt.Sprint(k.Payload, k.Stamp) || back.Zone != "local" {
		t.Fatalf("%v, %v", back, err)
	}
	signed, err := mustLayered(t, k, Options{}).Dumps("v")
	if err != nil {
		t.Fatal(err)
	}
	var v string
	if _, err := mustLayered(t, back, Options{Leeway: time.Second}).Loads(signed, time.Minute, &v); err != nil || v != "v" {
		t.Errorf("%q, %v", v, err)
	}
	if other := mustKeySet(t); other.Payload[0] == k.Payload[0] || other.Stamp[0] == k.Stamp[0] {
		t.Error("two sets have the same key")
	}
}

func TestParseKeySetRefuses(t *testing.T) {
	key := func(b byte, n int) string { return encoding.EncodeToString(bytes.Repeat([]byte{b}, n)) }
	set := func(payload, stamp string) string {
		return `{"zone":"local","payload":[` + payload + `],"stamp":[` + stamp + `]}`
	}
	a, b := `"`+key(0x11, 32)+`"`, `"`+key(0x22, 32)+`"`
	if _, err := ParseKeySet([]byte(set(a, b))); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	var many []string
	for i := range MaxKeys + 1 {
		many = append(many, `"`+key(byte(i), 40)+`"`)
	}
	for name, text := range map[string]string{
		"empty":              ``,
		"not JSON":           `zone: local`,
		"null":               `null`,
		"a list":             `[]`,
		"no zone":            `{"payload":[` + a + `],"stamp":[` + b + `]}`,
		"a zone of the bus":  strings.Replace(set(a, b), "local", "a.>", 1),
		"a zone in capitals": strings.Replace(set(a, b), "local", "Local", 1),
		"a long zone":        strings.Replace(set(a, b), "local", strings.Repeat("z", 64), 1),
		"no payload keys":    set(``, b),
		"no stamp keys":      set(a, ``),
		"unknown field":      strings.Replace(set(a, b), `"zone"`, `"zones":1,"zone"`, 1),
		"trailing":           set(a, b) + `{}`,
		"trailing bracket":   set(a, b) + `}`,
		"a short key":        set(`"`+key(0x11, 31)+`"`, b),
		"a long key":         set(`"`+key(0x11, MaxKeyBytes+1)+`"`, b),
		"padding":            set(`"`+key(0x11, 32)+`="`, b),
		"standard base64":    set(`"`+strings.Repeat("+/", 22)+`"`, b),
		"spare bits":         set(`"`+strings.Repeat("A", 42)+`B"`, b),
		"a line end":         set(`"`+key(0x11, 32)[:10]+`\n`+key(0x11, 32)[10:]+`"`, b),
		"a number":           set(`1`, b),
		"twice in a list":    set(a+`,`+a, b),
		"for both":           set(a, a),
		"too many":           set(strings.Join(many, ","), b),
		"too large":          set(a, b) + strings.Repeat(" ", maxKeySet),
	} {
		_, err := ParseKeySet([]byte(text))
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want it refused", name, err)
			continue
		}
		if strings.Contains(err.Error(), key(0x11, 32)[:12]) {
			t.Errorf("%s: the error quotes a key: %v", name, err)
		}
	}
}

func TestKeySetsAreNotPrinted(t *testing.T) {
	k := mustKeySet(t)
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s", k, k, k, k), fmt.Sprintf("%v", &k), fmt.Sprintf("%v", struct{ K KeySet }{k})} {
		if strings.Contains(text, k.Payload[0]) || strings.Contains(text, k.Stamp[0]) {
			t.Errorf("%s", text)
		}
	}
}

// TestRotation is a whole rotation: verifiers first, then the signer, then the old pair leaves.
func TestRotation(t *testing.T) {
	first := mustKeySet(t)
	second, err := first.Rotated(rand.Reader, 2)
	if err != nil {
		t.Fatal(err)
	}
	third, err := second.Rotated(rand.Reader, 2)
	if err != nil {
		t.Fatal(err)
	}
	sets := []KeySet{first, second, third}
	for i, n := range []int{1, 2, 2} {
		if len(sets[i].Payload) != n || len(sets[i].Stamp) != n {
			t.Fatalf("set %d has %s", i, sets[i])
		}
	}
	for i, signing := range sets {
		text, err := mustLayered(t, signing, Options{}).Dumps(i)
		if err != nil {
			t.Fatal(err)
		}
		for j, verifying := range sets {
			var got int
			_, err := mustLayered(t, verifying, Options{}).Loads(text, time.Minute, &got)
			known := i <= j && j-i < 2 // a newer set knows the pair before, and no set knows a pair of the future
			if known && (err != nil || got != i) || !known && !errors.Is(err, ErrBadSignature) {
				t.Errorf("signed with set %d, verified with %d: %d, %v", i, j, got, err)
			}
		}
	}
}

func TestKeySetRefuses(t *testing.T) {
	k := mustKeySet(t)
	if _, err := NewKeySet("", rand.Reader); !fault.Is(err, fault.Invalid) {
		t.Errorf("no zone: %v", err)
	}
	if _, err := NewKeySet("local", io.LimitReader(rand.Reader, 63)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("no more random bytes: %v", err)
	}
	if _, err := k.Rotated(bytes.NewReader(nil), 2); !errors.Is(err, io.EOF) {
		t.Errorf("no random bytes: %v", err)
	}
	for _, keep := range []int{-1, 0, MaxKeys + 1} {
		if _, err := k.Rotated(rand.Reader, keep); !fault.Is(err, fault.Invalid) {
			t.Errorf("keep %d: %v", keep, err)
		}
	}
	if _, err := (KeySet{}).Rotated(rand.Reader, 2); !fault.Is(err, fault.Invalid) {
		t.Errorf("an empty set: %v", err)
	}
	if _, err := (KeySet{}).Layered(Options{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an empty set: %v", err)
	}
	for _, o := range []Options{
		{Salt: "x"}, {EmptySalt: true}, {Sep: ":"}, {Derivation: None}, {Digest: SHA512}, {Fallbacks: []Fallback{{}}}, {Leeway: -1}, {MaxInflated: -1},
	} {
		if _, err := k.Layered(o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestOneKeyListIsNotEnough: neither layer's keys alone make a token, nor does one layer's token count for the other.
func TestOneKeyListIsNotEnough(t *testing.T) {
	k, stranger := mustKeySet(t), mustKeySet(t)
	verify := mustLayered(t, k, Options{})
	for name, signing := range map[string]KeySet{
		"payload keys alone": {Zone: "local", Payload: k.Payload, Stamp: stranger.Stamp},
		"stamp keys alone":   {Zone: "local", Payload: stranger.Payload, Stamp: k.Stamp},
		"keys exchanged":     {Zone: "local", Payload: k.Stamp, Stamp: k.Payload},
		"neither":            stranger,
	} {
		text, err := mustLayered(t, signing, Options{}).Dumps("v")
		if err != nil {
			t.Fatal(err)
		}
		v := "untouched"
		if _, err := verify.Loads(text, time.Minute, &v); !fault.Is(err, fault.Denied) || v != "untouched" {
			t.Errorf("%s: %q, %v", name, v, err)
		}
	}
	text, err := verify.Dumps("v")
	if err != nil {
		t.Fatal(err)
	}
	inner := text[:strings.LastIndexByte(text[:strings.LastIndexByte(text, '.')], '.')]
	var v string
	if _, err := verify.Loads(inner, time.Minute, &v); !errors.Is(err, ErrBadSignature) {
		t.Errorf("the inner token alone: %v", err)
	}
}

package session

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPackedPartsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 1, 5).Draw(t, "parts")
		got, ok := unpack(pack(parts...), len(parts))
		if !ok {
			t.Fatal("not readable")
		}
		for i, p := range parts {
			if !bytes.Equal(p, got[i]) || len(p) == 0 && got[i] != nil {
				t.Fatalf("part %d: %q became %q", i, p, got[i])
			}
		}
		if _, ok := unpack(pack(parts...), len(parts)+1); ok {
			t.Fatal("a part too many is found")
		}
	})
}

func TestTextsOfAConversationBecomeShort(t *testing.T) {
	state := []byte(`{"r":"a1b2c3d4e5f6","h":[{"t":"1","n":"retail"}],"s":{"k":"menu","i":[{"value":"order-service","detail":"3/3"}]},"t":1795459404}`)
	if n := len(pack(state)); n > len(state)*3/4 {
		t.Errorf("%d bytes of %d", n, len(state))
	}
}

// A changed dictionary makes every open session unreadable: that must not happen by accident.
func TestTheDictionaryIsTheOneInUse(t *testing.T) {
	if want := uint32(0x6a0d9cc7); edition != want {
		t.Errorf("edition %#x, not %#x", edition, want)
	}
}

func TestABombIsRefused(t *testing.T) {
	bomb := pack([]byte(strings.Repeat("x", maxUnpacked+1)))
	if _, ok := unpack(bomb, 1); ok {
		t.Error("it is unpacked")
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{})
	f.Add(pack([]byte("state"), nil, []byte("person"), []byte("2")))
	f.Add([]byte(strings.Repeat("d", 40)))
	f.Add([]byte("p\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parts, ok := unpack(data, 4)
		if !ok {
			return
		}
		again, ok := unpack(pack(parts...), 4)
		for i := range parts {
			if !ok || !bytes.Equal(parts[i], again[i]) {
				t.Fatalf("%q became %q", parts, again)
			}
		}
	})
}

func FuzzKept(f *testing.F) {
	f.Add("s1/5 a g\nd1234")
	f.Add(string(kept{place: "s/1", id: "a", state: []byte("s"), sentAt: 5}.encode()))
	f.Fuzz(func(t *testing.T, text string) {
		if k, whole := decodeKept(text); whole {
			if again, ok := decodeKept(string(k.encode())); !ok || again.id != k.id || again.sentAt != k.sentAt {
				t.Fatalf("%q", text)
			}
		}
	})
}

func BenchmarkPack(b *testing.B) {
	text := []byte(strings.Repeat(`{"value":"order-service","detail":"3/3"}`, 20))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := unpack(pack(text), 1); !ok {
			b.Fatal("not readable")
		}
	}
}

package menu

import (
	"testing"

	"pgregory.net/rapid"
)

// The short way and the long way to look at a name agree.
func TestHoldsIsARankAboveMiss(t *testing.T) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("重启长乐行·- Abkrcqzhl7")), 0, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		n := newScript().name(text.Draw(t, "name"))
		for _, word := range fields(rapid.OneOf(text, rapid.StringMatching("[a-z7]{1,6}")).Draw(t, "query")) {
			s := newSeeker(word)
			if s.holds(n) != (s.rank(n) < miss) {
				t.Fatalf("%q in %q: rank %d", word, n.text, s.rank(n))
			}
		}
	})
}

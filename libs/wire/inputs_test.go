package wire

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestInputs(t *testing.T) {
	for _, c := range []struct {
		joined string
		inputs []string
	}{
		{"", nil},
		{"shop", []string{"shop"}},
		{"shop-web", []string{"shop", "web"}},
		{`shop-web\-2`, []string{"shop", "web-2"}},
		{`a\\-b`, []string{`a\`, "b"}},
		{"命名空间-值", []string{"命名空间", "值"}},
	} {
		if got := JoinInputs(c.inputs); got != c.joined {
			t.Errorf("JoinInputs(%q) = %q, want %q", c.inputs, got, c.joined)
		}
		if got := SplitInputs(c.joined); !slices.Equal(got, c.inputs) {
			t.Errorf("SplitInputs(%q) = %q, want %q", c.joined, got, c.inputs)
		}
	}
}

func TestAnyInputsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inputs := rapid.SliceOf(rapid.OneOf(rapid.StringN(1, 8, -1), rapid.StringMatching(`[-\\a]{1,6}`))).Draw(t, "inputs")
		if got := SplitInputs(JoinInputs(inputs)); !slices.Equal(got, inputs) {
			t.Fatalf("%q came back as %q", inputs, got)
		}
	})
}

func FuzzSplitInputs(f *testing.F) {
	for _, s := range []string{"", "a-b", `a\-b\`, `\\-`, "-", "\xff-\\\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		inputs := SplitInputs(s)
		if again := SplitInputs(JoinInputs(inputs)); !slices.Equal(again, inputs) && !slices.Equal(inputs, []string{""}) {
			t.Fatalf("%q: %q, then %q", s, inputs, again)
		}
		if len(strings.Join(inputs, "")) > len(s) {
			t.Fatalf("%q grew to %q", s, inputs)
		}
	})
}

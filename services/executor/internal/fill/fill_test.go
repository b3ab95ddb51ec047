package fill

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFill(t *testing.T) {
	args := map[string]any{"host": "web-1", "n": int64(5), "on": true, "q": "a b"}
	for in, want := range map[string]string{
		"": "", "plain": "plain", "${host}": "web-1", "/${host}/x": "/web-1/x", "$$${n}": "$5", "${on}${missing}!": "true!", "a$$b": "a$b",
	} {
		text, err := Parse(in)
		if err != nil || text.String(args, nil) != want {
			t.Errorf("%q: %q, %v", in, text.String(args, nil), err)
		}
	}
	for _, in := range []string{"$", "$host", "${", "${}", "${Host}", "${a b}", "x${host", "$ {host}"} {
		if _, err := Parse(in); err == nil {
			t.Errorf("%q is taken", in)
		}
	}
	text, _ := Parse("http://x/${host}?q=${q}&again=${host}")
	if got := text.String(args, url.QueryEscape); got != "http://x/web-1?q=a+b&again=web-1" {
		t.Error(got)
	}
	if !slices.Equal(text.Names(), []string{"host", "q"}) || text.Only() != "" || text.Literal() != "http://x/" {
		t.Error(text.Names(), text.Only(), text.Literal())
	}
	if only, _ := Parse("${n}"); only.Only() != "n" || only.Literal() != "" {
		t.Error(only.Only())
	}
}

// Any text comes back when its dollars are doubled, whatever the arguments are.
func TestLiteralTextComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		text, err := Parse(strings.ReplaceAll(s, "$", "$$"))
		if err != nil || text.String(nil, nil) != s || text.Names() != nil {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("a${b}c$$")
	f.Fuzz(func(t *testing.T, s string) {
		text, err := Parse(s)
		if err != nil {
			return
		}
		args := map[string]any{}
		for _, n := range text.Names() {
			args[n] = "${" + n + "}"
		}
		if got := text.String(args, nil); got != strings.ReplaceAll(s, "$$", "$") {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

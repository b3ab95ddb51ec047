package fault

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
)

func TestKindOfFindsTheOutermostKind(t *testing.T) {
	inner := New(Transient, "dial: %w", errors.New("refused"))
	outer := Wrap(Unknown, fmt.Errorf("publish: %w", inner), "act")
	for _, c := range []struct {
		err  error
		want Kind
	}{
		{nil, ""},
		{errors.New("plain"), Internal},
		{inner, Transient},
		{fmt.Errorf("context: %w", inner), Transient},
		{outer, Unknown},
		{errors.Join(errors.New("a"), inner), Transient},
	} {
		if got := KindOf(c.err); got != c.want {
			t.Errorf("KindOf(%v) = %q, want %q", c.err, got, c.want)
		}
	}
	if !errors.Is(outer, inner) {
		t.Error("the chain is broken")
	}
}

func TestSafeNeverShowsDetails(t *testing.T) {
	for _, kind := range Kinds() {
		err := Wrap(kind, errors.New("password=hunter2"), "mysql")
		text := Safe(err)
		if text == "" || strings.Contains(text, "hunter2") {
			t.Errorf("%s: %q", kind, text)
		}
		if own := Safe(fmt.Errorf("x: %w", WithText(err, "自己的话"))); own != "自己的话" {
			t.Errorf("%s: own text lost: %q", kind, own)
		}
		if KindOf(WithText(err, "x")) != kind {
			t.Errorf("%s: WithText changed the kind", kind)
		}
	}
	if Wrap(Invalid, nil, "x") != nil || WithText(nil, "x") != nil || Safe(nil) != "" {
		t.Error("nil must stay nil")
	}
}

func TestSentencesInBothLanguages(t *testing.T) {
	langtest.Check(t, texts, ".")
	seen := map[string]Kind{}
	for _, kind := range Kinds() {
		for _, tag := range []lang.Tag{lang.Chinese, lang.English} {
			text := SafeIn(New(kind, "details"), tag)
			if other, twice := seen[text]; twice || text != KindTextIn(tag, kind) || strings.Contains(text, "details") {
				t.Errorf("%s in %s: %q (as %s)", kind, tag, text, other)
			}
			seen[text] = kind
		}
	}
	if KindTextIn(lang.English, "nonsense") != KindTextIn(lang.English, Internal) || KindText(Denied) != KindTextIn("fr", Denied) {
		t.Error("an unknown kind or language")
	}
	if SafeIn(WithText(New(Denied, "x"), "own words"), lang.Chinese) != "own words" {
		t.Error("own words are lost")
	}
}

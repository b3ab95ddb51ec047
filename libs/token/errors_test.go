package token

import (
	"errors"
	"fmt"
	"testing"

	"palmops/libs/fault"
)

func TestClassesHavePythonsHierarchy(t *testing.T) {
	all := []error{ErrBadData, ErrBadPayload, ErrBadSignature, ErrBadHeader, ErrBadTimeSignature, ErrSignatureExpired}
	for _, c := range []struct {
		class error
		name  string
		is    []error
		kind  fault.Kind
	}{
		{ErrBadData, "BadData", []error{ErrBadData}, fault.Invalid},
		{ErrBadPayload, "BadPayload", []error{ErrBadPayload, ErrBadData}, fault.Invalid},
		{ErrBadSignature, "BadSignature", []error{ErrBadSignature, ErrBadData}, fault.Denied},
		{ErrBadHeader, "BadHeader", []error{ErrBadHeader, ErrBadSignature, ErrBadData}, fault.Denied},
		{ErrBadTimeSignature, "BadTimeSignature", []error{ErrBadTimeSignature, ErrBadSignature, ErrBadData}, fault.Denied},
		{ErrSignatureExpired, "SignatureExpired", []error{ErrSignatureExpired, ErrBadTimeSignature, ErrBadSignature, ErrBadData}, fault.Expired},
	} {
		original := errors.New("below")
		e := &Error{class: c.class.(*class), reason: "reason", Original: original}
		for _, err := range []error{c.class, &Error{class: c.class.(*class)}, e, fmt.Errorf("context: %w", e)} {
			for _, other := range all {
				want := false
				for _, is := range c.is {
					want = want || is == other
				}
				if errors.Is(err, other) != want {
					t.Errorf("%v is %v: %t", err, other, !want)
				}
			}
			if ClassOf(err) != c.name || fault.KindOf(err) != c.kind {
				t.Errorf("%v: class %s, kind %s", err, ClassOf(err), fault.KindOf(err))
			}
		}
		if !errors.Is(e, original) || e.Class() != c.name || e.Error() != "token: "+c.name+": reason" {
			t.Errorf("%v", e)
		}
	}
	for _, err := range []error{nil, errors.New("other"), fault.New(fault.Denied, "other")} {
		if ClassOf(err) != "" {
			t.Errorf("%v has class %s", err, ClassOf(err))
		}
	}
}

func TestNamesOfDigestsAndDerivations(t *testing.T) {
	for name, want := range map[string]Digest{"sha1": SHA1, "SHA-256": SHA256, "sha512": SHA512, "Sha1": SHA1} {
		if got, err := ParseDigest(name); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for name, want := range map[string]Derivation{"django-concat": DjangoConcat, "concat": Concat, "HMAC": HMAC, "none": None} {
		if got, err := ParseDerivation(name); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "md5", "sha", "sha3-256", "sha-2-56", "unknown", "djangoconcat"} {
		if _, err := ParseDigest(name); !fault.Is(err, fault.Invalid) {
			t.Errorf("digest %q: %v", name, err)
		}
		if _, err := ParseDerivation(name); !fault.Is(err, fault.Invalid) {
			t.Errorf("derivation %q: %v", name, err)
		}
	}
	if Digest(7).String() != "unknown" || Derivation(-1).String() != "unknown" {
		t.Error("a value that is none has a name")
	}
}

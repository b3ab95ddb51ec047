// Package fault is the closed set of ways in which something can go wrong in palmops.
//
// A kind decides three things and nothing else does: what becomes of a queue message (see libs/bus),
// which sentence a user may read (SafeIn), and whether a caller may try again. Details stay in the wrapped
// error and reach only the log. Kinds travel on the wire by name, so names are never reused.
package fault

import (
	_ "embed"
	"errors"
	"fmt"

	"palmops/libs/lang"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// Kind says what sort of failure an error is.
type Kind string

// The kinds. Any error that carries none is Internal.
const (
	Invalid   Kind = "invalid"   // the input is wrong and will stay wrong
	Denied    Kind = "denied"    // not allowed: signature, address, rights
	Expired   Kind = "expired"   // it came too late, or too early
	NotFound  Kind = "not_found" // the thing named does not exist
	Conflict  Kind = "conflict"  // the state moved since it was read
	Transient Kind = "transient" // nothing was done; a later try may work
	Unknown   Kind = "unknown"   // it may or may not have been done
	Internal  Kind = "internal"  // a defect, or a failure nobody classified
)

// Kinds lists every kind, for tests and metrics.
func Kinds() []Kind {
	return []Kind{Invalid, Denied, Expired, NotFound, Conflict, Transient, Unknown, Internal}
}

// Error is an error with a kind. Text, when set, is safe to show to a user.
type Error struct {
	Kind Kind
	Text string
	Err  error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return string(e.Kind)
	}
	return e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// FaultKind reports the kind; other packages' typed errors may offer the same method.
func (e *Error) FaultKind() Kind { return e.Kind }

// New makes an error of a kind from a format as fmt.Errorf understands it, %w included.
func New(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Wrap gives err a kind and a context. It returns nil for a nil err.
func Wrap(kind Kind, err error, context string) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: kind, Err: fmt.Errorf("%s: %w", context, err)}
}

// WithText adds a sentence that a user may read. The kind stays what it was. It returns nil for a nil err.
func WithText(err error, text string) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Text: text, Err: err}
}

// KindOf finds the outermost kind in err's chain: any error with a FaultKind method counts.
// An error without one is Internal; nil has the empty kind.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var k interface{ FaultKind() Kind }
	if errors.As(err, &k) {
		return k.FaultKind()
	}
	return Internal
}

// Is reports whether err is of the given kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Safe is SafeIn in Chinese.
func Safe(err error) string { return SafeIn(err, lang.Chinese) }

// SafeIn is the sentence a user may read about err: the text set by WithText if there is one, in whatever language it was
// set, else the kind's own in language t. It never contains err's details. Each sentence says what happened, what was not
// done, and what to do next. It is "" for a nil err.
func SafeIn(err error, t lang.Tag) string {
	if err == nil {
		return ""
	}
	var e *Error
	for walk := err; errors.As(walk, &e); walk = e.Err {
		if e.Text != "" {
			return e.Text
		}
	}
	return KindTextIn(t, KindOf(err))
}

// KindText is KindTextIn in Chinese.
func KindText(kind Kind) string { return KindTextIn(lang.Chinese, kind) }

// KindTextIn is the sentence for a kind in a language. A kind that is none of Kinds reads as Internal.
func KindTextIn(t lang.Tag, kind Kind) string {
	switch kind {
	case Invalid:
		return texts.Say(t, "kind.invalid")
	case Denied:
		return texts.Say(t, "kind.denied")
	case Expired:
		return texts.Say(t, "kind.expired")
	case NotFound:
		return texts.Say(t, "kind.not_found")
	case Conflict:
		return texts.Say(t, "kind.conflict")
	case Transient:
		return texts.Say(t, "kind.transient")
	case Unknown:
		return texts.Say(t, "kind.unknown")
	default:
		return texts.Say(t, "kind.internal")
	}
}

package token

import (
	"errors"
	"time"

	"palmops/libs/fault"
)

// class is one of Python's exception classes. Its chain of parents is its chain of Unwrap, so errors.Is follows the
// same hierarchy as Python's except.
type class struct {
	name   string
	parent *class
	kind   fault.Kind
}

func (c *class) Error() string { return "token: " + c.name }

func (c *class) Unwrap() error {
	if c.parent == nil {
		return nil // not a typed nil
	}
	return c.parent
}

// FaultKind reports what kind of failure the class is.
func (c *class) FaultKind() fault.Kind { return c.kind }

var (
	badData          = &class{name: "BadData", kind: fault.Invalid}
	badPayload       = &class{name: "BadPayload", parent: badData, kind: fault.Invalid}
	badSignature     = &class{name: "BadSignature", parent: badData, kind: fault.Denied}
	badHeader        = &class{name: "BadHeader", parent: badSignature, kind: fault.Denied}
	badTimeSignature = &class{name: "BadTimeSignature", parent: badSignature, kind: fault.Denied}
	signatureExpired = &class{name: "SignatureExpired", parent: badTimeSignature, kind: fault.Expired}
)

// The classes of failure, for errors.Is. As in Python every ErrSignatureExpired is an ErrBadTimeSignature, every
// ErrBadTimeSignature and ErrBadHeader an ErrBadSignature, and those and every ErrBadPayload an ErrBadData.
var (
	ErrBadData          error = badData          // anything wrong with a token; fault.Invalid
	ErrBadPayload       error = badPayload       // the signature holds, but what was signed cannot be read; fault.Invalid
	ErrBadSignature     error = badSignature     // no signature, or not ours; fault.Denied
	ErrBadHeader        error = badHeader        // kept for the hierarchy; nothing here has a header; fault.Denied
	ErrBadTimeSignature error = badTimeSignature // the same of a form with a time, or the time is not one; fault.Denied
	ErrSignatureExpired error = signatureExpired // the signature holds, but is too old or from the future; fault.Expired
)

// Error is every refusal of a token. Its text names the class and the reason and is safe to log; the fields below it
// hold the token's own content and are not.
type Error struct {
	class  *class
	reason string

	// Payload is what stood under the signature, where there was something: with ErrSignatureExpired it is proven,
	// with any other ErrBadSignature it is what somebody claims, and nothing more. nil with ErrBadPayload, as in Python.
	Payload []byte `json:"-"`
	// DateSigned is the time in the token, in UTC, where it could be read; zero otherwise. Only with
	// ErrSignatureExpired is it proven.
	DateSigned time.Time `json:"-"`
	// Original is the failure below an ErrBadPayload, if there is one. It may quote the payload.
	Original error `json:"-"`
}

func (e *Error) Error() string { return e.class.Error() + ": " + e.reason }

// Unwrap makes errors.Is see the class and its parents, and the original failure.
func (e *Error) Unwrap() []error {
	if e.Original == nil {
		return []error{e.class}
	}
	return []error{e.class, e.Original}
}

// FaultKind is fault.Denied for signatures, fault.Expired for age, fault.Invalid for payloads.
func (e *Error) FaultKind() fault.Kind { return e.class.kind }

// Class is the name of Python's exception class, such as "SignatureExpired".
func (e *Error) Class() string { return e.class.name }

// ClassOf is the name of Python's exception class for err, found anywhere in its chain, or "" when err is nil or no
// refusal of a token.
func ClassOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.class.name
	}
	var c *class
	if errors.As(err, &c) {
		return c.name
	}
	return ""
}

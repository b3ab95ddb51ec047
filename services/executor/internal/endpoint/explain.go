package endpoint

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"errors"
	"net"
	"net/http"
	"strings"
	"unicode"

	"palmops/libs/fault"
	"palmops/libs/lang"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// Explain gives an error of Read, Reach or of a Send that sent nothing its kind and a text in a language, which says that
// nothing was done. What is the service's name for people.
func Explain(err error, t lang.Tag, what string) error {
	give := func(k fault.Kind, text string) error {
		return fault.WithText(fault.Wrap(k, err, "service "+what), text)
	}
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var verify *tls.CertificateVerificationError
	var hostname x509.HostnameError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrAddress):
		return give(fault.Denied, texts.Say(t, "reach.address", what))
	case errors.Is(err, ErrRedirect):
		return give(fault.Denied, texts.Say(t, "reach.redirect", what))
	case errors.As(err, &dns) && dns.IsNotFound:
		return give(fault.NotFound, texts.Say(t, "reach.name", what))
	case errors.As(err, &unknown), errors.As(err, &verify), errors.As(err, &hostname):
		return give(fault.Denied, texts.Say(t, "reach.certificate", what))
	case late(err):
		return give(fault.Transient, texts.Say(t, "reach.late", what))
	case fault.Is(err, fault.Invalid):
		return give(fault.Invalid, texts.Say(t, "reach.path"))
	}
	return give(fault.Transient, texts.Say(t, "reach.down", what))
}

func late(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// Refused explains an answer to a request that read, with a status that says that there is nothing to read.
func Refused(res Response, t lang.Tag, what string) error {
	give := func(k fault.Kind, text string) error {
		return fault.WithText(fault.New(k, "service %s answers %s: %s", what, StatusText(res.Status), Quote(res.Body)), text)
	}
	switch {
	case res.Status == http.StatusUnauthorized || res.Status == http.StatusForbidden:
		return give(fault.Denied, texts.Say(t, "status.denied", what, StatusText(res.Status)))
	case res.Status == http.StatusNotFound || res.Status == http.StatusGone:
		return give(fault.NotFound, texts.Say(t, "status.missing", what, StatusText(res.Status)))
	case res.Status == http.StatusTooManyRequests:
		return give(fault.Transient, texts.Say(t, "status.busy", what))
	case res.Status == http.StatusConflict:
		return give(fault.Conflict, texts.Say(t, "status.refused", what, StatusText(res.Status), Quote(res.Body)))
	case res.Status >= 400 && res.Status < 500 && res.Status != http.StatusRequestTimeout:
		return give(fault.Invalid, texts.Say(t, "status.refused", what, StatusText(res.Status), Quote(res.Body)))
	}
	return give(fault.Transient, texts.Say(t, "status.down", what, StatusText(res.Status)))
}

// Unreadable explains an answer that is not of the form the catalog says.
func Unreadable(err error, t lang.Tag, what string) error {
	return fault.WithText(fault.Wrap(fault.Invalid, err, "answer of service "+what), texts.Say(t, "answer.unreadable", what))
}

// Whole is an error for an answer of which a part is missing, since it was too long to keep.
func Whole(res Response, t lang.Tag, what string) error {
	if res.Dropped == 0 {
		return nil
	}
	return fault.WithText(fault.New(fault.Invalid, "%d bytes of the answer of service %s are missing", res.Dropped, what), texts.Say(t, "answer.large", what))
}

// maxQuote is how much of a foreign text a person is shown, in characters.
const maxQuote = 200

// Quote makes a foreign text fit to stand in a sentence: one line, without control characters, at most 200 characters.
func Quote(s string) string { return Line(s, maxQuote) }

// Line is the beginning of a foreign text, at most limit characters, in one line.
func Line(s string, limit int) string {
	if len(s) > 8*limit {
		s = strings.ToValidUTF8(s[:8*limit], "")
	}
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar
	}), " ")
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}

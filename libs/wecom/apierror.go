package wecom

import (
	"fmt"
	"strings"

	"palmops/libs/fault"
)

const codeBusy = -1

// APIError is a refusal by WeCom: errcode and errmsg of an answer (page 90313). Nothing was done.
type APIError struct {
	API  string // the path below /cgi-bin/, without its query
	Code int
	Msg  string // WeCom's words, at most 256 bytes; they may change and are for people only
}

func (e *APIError) Error() string {
	return fmt.Sprintf("wecom: %s: errcode %d: %s", e.API, e.Code, e.Msg)
}

// tokenRejected reports whether a new access token may help.
func (e *APIError) tokenRejected() bool { return e.Code == 40014 || e.Code == 42001 }

// FaultKind sorts the codes: Transient where a later try may work, Denied where credentials, rights or settings stand
// in the way, NotFound for receivers, departments and tags that do not exist or are not visible, Expired for one-time codes
// and media,
// Invalid for wrong parameters, and Internal for codes that page 90313 puts in none of these groups.
func (e *APIError) FaultKind() fault.Kind {
	switch e.Code {
	case codeBusy, 6000, 45009, 45033, 45035, 45036, 40014, 42001:
		return fault.Transient
	case 40001, 40013, 40056, 43012, 48002, 48006, 48009, 48010, 60011, 60020, 301002:
		return fault.Denied
	case 40003, 40068, 60003, 60021, 60111, 60123, 81013:
		return fault.NotFound
	case 40007, 40029, 42003, 42022, 42052, 60140:
		return fault.Expired
	case 40057, 40058, 40063, 41001, 44004, 45001, 45002, 82001:
		return fault.Invalid
	}
	if e.Code >= 42014 && e.Code <= 42051 { // template cards
		return fault.Invalid
	}
	return fault.Internal
}

// printable makes WeCom's words fit for one line of a log.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > 256 {
		s = s[:256]
	}
	return strings.ToValidUTF8(s, "")
}

package wecom

// Envelope is a callback body before anything is decrypted.
type Envelope struct {
	Form       Form
	ToUserName string // corp id, or suite id; absent from AI bots
	AgentID    string // absent from AI bots
	Encrypt    []byte // the ciphertext in base64; as a rule a part of the body
}

var (
	envelopeFields = []flatField{{xml: "ToUserName"}, {xml: "AgentID", alt: "AgentId"}, {xml: "Encrypt"}}
	openFields     = []flatField{envelopeFields[0], envelopeFields[1], {xml: "Encrypt", raw: true}}
)

// ScanEnvelope reads `<xml><ToUserName/><AgentID/><Encrypt/></xml>` or `{"tousername","agentid","encrypt"}`, in any
// order, each at most once and Encrypt exactly once; the JSON keys in any case, since the official samples differ, and
// agentid as a string or a number. What else is inside is skipped within bounds; what is after it is refused, as are
// comments, directives, attributes, processing instructions other than an XML declaration at the very start, a byte
// order mark, and any encoding but UTF-8. White space is allowed around elements and around the document.
// Values are the text an XML or JSON reader would report. Errors: *Error, always fault.Invalid.
func ScanEnvelope(body []byte) (Envelope, error) {
	form, p, err := scanEnvelope(body, envelopeFields)
	if err != nil {
		return Envelope{}, err
	}
	return Envelope{Form: form, ToUserName: string(p.toUserName), AgentID: string(p.agentID), Encrypt: p.encrypt}, nil
}

// envelopeParts are the leaves of an envelope, as parts of its body where they can be.
type envelopeParts struct{ toUserName, agentID, encrypt []byte }

func scanEnvelope(body []byte, fields []flatField) (Form, envelopeParts, error) {
	var v [3][]byte
	form, err := scanFlat(body, fields, v[:])
	if err == nil && len(v[2]) == 0 {
		err = refuse(CodeParse, ReasonMissing, "no Encrypt")
	}
	return form, envelopeParts{v[0], v[1], v[2]}, err
}

// flatField names one leaf of a document without depth. In JSON the key counts in any case.
type flatField struct {
	xml, alt string
	raw      bool // its reader refuses all that is not plain ASCII, so that the scanner need not
}

// scanFlat reads the leaves that fields names into values, which has the same length. Absent ones stay empty.
// Values are parts of body where they can be.
func scanFlat(body []byte, fields []flatField, values [][]byte) (Form, error) {
	form, err := formOf(body)
	if err != nil {
		return form, err
	}
	if form == FormJSON {
		return form, scanFlatJSON(&jsonScanner{b: body}, fields, values)
	}
	return form, scanFlatXML(&xmlScanner{b: body}, fields, values)
}

// formOf tells the form of a document by its first byte that is not white space, and holds it against the cap.
func formOf(body []byte) (Form, error) {
	if len(body) > MaxBody {
		return FormXML, refuse(CodeParse, ReasonOversized, "the body is too long")
	}
	for _, c := range body {
		switch {
		case isSpace(c):
		case c == '<':
			return FormXML, nil
		case c == '{':
			return FormJSON, nil
		default:
			return FormXML, refuse(CodeParse, ReasonMalformed, "neither XML nor JSON")
		}
	}
	return FormXML, refuse(CodeParse, ReasonTruncated, "the body is empty")
}

func scanFlatXML(x *xmlScanner, fields []flatField, values [][]byte) error {
	empty, err := x.root()
	if err != nil {
		return err
	}
	seen := uint32(0)
	for more := !empty; more; {
		// The short way first, for elements as WeCom writes them.
		at, v := x.shortElement(fields)
		if at < 0 {
			if more, err = x.flatElement(fields, values, &seen); err != nil {
				return err
			}
			continue
		}
		if seen&(1<<at) != 0 {
			return refuse(CodeParse, ReasonDuplicate, fields[at].xml)
		}
		seen |= 1 << at
		values[at] = v
	}
	return x.finish()
}

// shortElement reads one of fields if it stands right here in the shape that cdataElement takes. at is -1 if none does,
// and then the scanner has not moved.
func (x *xmlScanner) shortElement(fields []flatField) (at int, v []byte) {
	if rest := x.b[x.pos:]; len(rest) < 2 || rest[1] == '/' {
		return -1, nil
	}
	for at := range fields {
		if v, ok := x.cdataElement(fields[at].xml, fields[at].raw); ok {
			return at, v
		}
	}
	return -1, nil
}

// flatElement reads one element inside the root. more is false at the root's end tag.
func (x *xmlScanner) flatElement(fields []flatField, values [][]byte, seen *uint32) (more bool, err error) {
	name, leafless, ok, err := x.child([]byte(rootName))
	if !ok {
		return false, err
	}
	at := -1
	for i := range fields {
		if string(name) == fields[i].xml || string(name) == fields[i].alt {
			at = i
		}
	}
	if at < 0 {
		if !leafless {
			err = x.skip(name)
		}
		return true, err
	}
	if *seen&(1<<at) != 0 {
		return false, refuse(CodeParse, ReasonDuplicate, fields[at].xml)
	}
	*seen |= 1 << at
	if !leafless {
		var v value
		v, err = x.text(name)
		values[at] = v.in(x.b)
	}
	return true, err
}

func scanFlatJSON(j *jsonScanner, fields []flatField, values [][]byte) error {
	if err := j.object(); err != nil {
		return err
	}
	for seen, first := uint32(0), true; ; first = false {
		key, ok, err := j.key(first)
		if err != nil {
			return err
		}
		if !ok {
			return j.finish()
		}
		at := -1
		for i := range fields {
			if equalFold(key, fields[i].xml) {
				at = i
			}
		}
		if at < 0 {
			if err := j.skip(); err != nil {
				return err
			}
			continue
		}
		if seen&(1<<at) != 0 {
			return refuse(CodeParse, ReasonDuplicate, fields[at].xml)
		}
		seen |= 1 << at
		v, err := j.scalar()
		if err != nil {
			return err
		}
		values[at] = v.in(j.b)
	}
}

// equalFold compares without regard to the case of ASCII letters. Unlike strings.EqualFold it knows no other
// letters, so that no foreign character can stand for one of a key.
func equalFold[A, B ~string | ~[]byte](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c-'A' <= 'Z'-'A' {
		return c + 'a' - 'A'
	}
	return c
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

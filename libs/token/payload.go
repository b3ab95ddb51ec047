package token

import (
	"bytes"
	"compress/zlib"
	"io"
	"sync"

	"palmops/libs/fault"
)

// payloadCoder turns values into what stands under a signature, and back.
type payloadCoder interface {
	encode(v any) ([]byte, error)
	decode(payload []byte, v any) error
}

// plainPayload is JSON as it is.
type plainPayload struct{}

func (plainPayload) encode(v any) ([]byte, error) { return encodeJSON(v, plainJSON) }

func (plainPayload) decode(payload []byte, v any) error { return decodeJSON(payload, v) }

// urlSafePayload is compact JSON in base64, compressed and with a dot in front where that is shorter.
type urlSafePayload struct {
	maxInflated int
	deflaters   sync.Pool // of *deflater: a compressor takes most of a megabyte to make
}

type deflater struct {
	out    bytes.Buffer
	writer *zlib.Writer
}

// minCompressed is the length of the shortest zlib stream there is.
const minCompressed = 8

func (p *urlSafePayload) encode(v any) ([]byte, error) {
	text, err := encodeJSON(v, compactJSON)
	if err != nil {
		return nil, err
	}
	if len(text)-1 <= minCompressed {
		return encoding.AppendEncode(nil, text), nil
	}
	d, ok := p.deflaters.Get().(*deflater)
	if !ok {
		d = &deflater{}
		d.writer = zlib.NewWriter(&d.out)
	}
	defer p.deflaters.Put(d)
	d.out.Reset()
	d.writer.Reset(&d.out)
	if _, err := d.writer.Write(text); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "token: compress the payload")
	}
	if err := d.writer.Close(); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "token: compress the payload")
	}
	if d.out.Len() >= len(text)-1 { // Python's own condition: the dot must pay
		return encoding.AppendEncode(nil, text), nil
	}
	if len(text) > p.maxInflated { // nobody with the same options could read it
		return nil, fault.New(fault.Invalid, "token: the value takes %d bytes of JSON, the limit is %d", len(text), p.maxInflated)
	}
	return encoding.AppendEncode([]byte{'.'}, d.out.Bytes()), nil
}

func (p *urlSafePayload) decode(payload []byte, v any) error {
	text, compressed := bytes.CutPrefix(payload, []byte{'.'})
	raw, ok := decodeBase64(text)
	if !ok {
		return &Error{class: badPayload, reason: "the payload is not base64url in its canonical form"}
	}
	if compressed {
		var err error
		if raw, err = p.inflate(raw); err != nil {
			return err
		}
	}
	return decodeJSON(raw, v)
}

// inflate reads one whole zlib stream and nothing after it, up to the limit.
func (p *urlSafePayload) inflate(raw []byte) ([]byte, error) {
	source := bytes.NewReader(raw) // a ByteReader, so that the decompressor takes no byte too many
	r, err := zlib.NewReader(source)
	if err != nil {
		return nil, &Error{class: badPayload, reason: "the payload is not a zlib stream", Original: err}
	}
	text, err := io.ReadAll(io.LimitReader(r, int64(p.maxInflated)+1))
	switch {
	case err != nil:
		return nil, &Error{class: badPayload, reason: "the payload cannot be inflated", Original: err}
	case len(text) > p.maxInflated:
		return nil, &Error{class: badPayload, reason: "the payload inflates to more than the limit"}
	case source.Len() > 0:
		return nil, &Error{class: badPayload, reason: "something follows the compressed payload"}
	}
	return text, nil
}

package wecom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"strings"
	"unicode/utf8"

	"palmops/libs/fault"
)

// Limits of a file for Upload, in bytes (page 90253).
const (
	MinFile     = 6
	MaxFile     = 20 << 20
	MaxImage    = 10 << 20 // of a TypeImage
	maxFileName = 255
)

// Upload hands WeCom a file, of the kind TypeFile or TypeImage (JPEG or PNG), that messages can name for 3 days by the media id it returns. name is
// what members see: 1 to 255 bytes of UTF-8 without control characters and slashes. size says how many bytes r holds,
// MinFile to MaxFile or MaxImage; all of them are held in memory meanwhile, so that the upload can be repeated with a new token.
// What was uploaded and is never sent is no harm, so that a lost answer is fault.Transient.
// Errors: fault.Invalid for a name or size that WeCom does not take; *APIError when WeCom refused; fault.Transient when r
// cannot be read, ends early or late, or no answer came.
func (c *Client) Upload(ctx context.Context, kind, name string, r io.Reader, size int64) (mediaID string, err error) {
	most := int64(MaxFile)
	if kind == TypeImage {
		most = MaxImage
	}
	switch {
	case kind != TypeFile && kind != TypeImage:
		return "", fault.New(fault.Invalid, "wecom: media of type %q are not uploaded", kind)
	case size < MinFile || size > most:
		return "", fault.New(fault.Invalid, "wecom: a %s has %d to %d bytes, not %d", kind, MinFile, most, size)
	case !validFileName(name):
		return "", fault.New(fault.Invalid, "wecom: the name of a file has 1 to %d bytes of UTF-8 without control characters and slashes", maxFileName)
	}
	f, err := fileForm(name, r, size)
	if err != nil {
		return "", err
	}
	var out struct {
		MediaID string `json:"media_id"`
	}
	if err := c.do(ctx, call{api: "media/upload", query: url.Values{"type": {kind}}, form: f}, &out); err != nil {
		return "", err
	}
	if out.MediaID == "" {
		return "", fault.New(fault.Internal, "wecom: media/upload: the answer names no media id")
	}
	return out.MediaID, nil
}

// fileForm reads r to its end and puts it into the form that WeCom asks for: one part "media" with name and length.
func fileForm(name string, r io.Reader, size int64) (*form, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fault.Wrap(fault.Transient, err, "wecom: read the file to upload")
	}
	var one [1]byte
	if n, err := io.ReadFull(r, one[:]); n > 0 || !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Transient, "wecom: the file to upload has not %d bytes", size)
	}
	var head bytes.Buffer
	w := multipart.NewWriter(&head)
	_, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {fmt.Sprintf("%s; filelength=%d", multipart.FileContentDisposition("media", name), size)},
		"Content-Type":        {"application/octet-stream"},
	})
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "wecom: media/upload")
	}
	return &form{
		contentType: w.FormDataContentType(),
		parts:       [][]byte{head.Bytes(), data, []byte("\r\n--" + w.Boundary() + "--\r\n")},
	}, nil
}

func validFileName(name string) bool {
	return name != "" && len(name) <= maxFileName && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' || r == '\\' })
}

package qyapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"palmops/libs/fault"
	"palmops/services/simulator/internal/media"
)

// Limits of an upload in bytes (page 90253).
const (
	minMedia = 6 // more than five
	maxFile  = 20 << 20
	maxImage = 10 << 20
	maxVoice = 2 << 20
)

// kinds are the types of media: how large they may be, and whether the bytes can be of that type.
var kinds = map[string]struct {
	most  int64
	looks func([]byte) bool
}{
	"file": {maxFile, func([]byte) bool { return true }},
	"image": {maxImage, func(b []byte) bool {
		kind := http.DetectContentType(b)
		return kind == "image/jpeg" || kind == "image/png"
	}},
	"voice": {maxVoice, func(b []byte) bool { return bytes.HasPrefix(b, []byte("#!AMR")) }},
	"video": {maxImage, func(b []byte) bool { return http.DetectContentType(b) == "video/mp4" }},
}

// upload takes the part «media» of a multipart form; its filename is the name that people see.
func (a *API) upload(r *http.Request) reply {
	kind, known := kinds[r.URL.Query().Get("type")]
	if !known {
		return reply{code: codeMediaType}
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return reply{code: codeMediaEmpty, msg: "no multipart form"}
	}
	for {
		part, err := parts.NextPart()
		if err != nil { // also at the end: there was no such part
			return reply{code: codeMediaEmpty}
		}
		if part.FormName() != "media" {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(part, kind.most+1))
		_, tooLarge := errors.AsType[*http.MaxBytesError](err)
		name := visibleName(part.FileName())
		switch {
		case tooLarge || int64(len(data)) > kind.most:
			return reply{code: codeMediaLarge}
		case err != nil:
			return reply{code: codeBusy}
		case len(data) == 0 || name == "":
			return reply{code: codeMediaEmpty}
		case len(data) < minMedia:
			return reply{code: codeMediaSize}
		case !kind.looks(data):
			return reply{code: codeMediaFormat}
		}
		f, err := a.o.Media.Put(r.URL.Query().Get("type"), name, data)
		if err != nil {
			return reply{code: codeBusy}
		}
		return uploaded(f)
	}
}

func uploaded(f media.File) reply {
	return reply{fields: map[string]any{"type": f.Kind, "media_id": f.ID, "created_at": strconv.FormatInt(f.Created.Unix(), 10)}}
}

// visibleName is a file's name without what does not belong into one.
func visibleName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '/' || r == '\\' {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
	const most = 255 // bytes, as file systems have it
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "")
	}
	return name
}

// download answers with the bytes of a file.
func (a *API) download(r *http.Request) reply {
	id := r.URL.Query().Get("media_id")
	if id == "" {
		return reply{code: codeMediaMissing}
	}
	name, data, err := a.o.Media.Read(id)
	switch {
	case fault.Is(err, fault.NotFound):
		return reply{code: codeMediaID}
	case err != nil:
		return reply{code: codeBusy}
	}
	return reply{file: func(w http.ResponseWriter) {
		h := w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data) // the client went away
	}}
}

package outbox

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wecom"
	"palmops/libs/wire"
	"palmops/services/gateway/internal/render"
)

const (
	// fileFor bounds one try to read, upload and send a file. The message is kept meanwhile.
	fileFor = 30 * time.Second
	// maxFileTries is how often a file that cannot be uploaded is tried before a sentence takes its place: others wait
	// behind it.
	maxFileTries = 5
	// mediaFor is how long an uploaded file is sent again without another upload. WeCom keeps it for 3 days.
	mediaFor = 60 * time.Hour
	// codeNoMedia is WeCom's word for a media id that it does not know or keep.
	codeNoMedia = 40007
	// pngHead is what every PNG begins with.
	pngHead = "\x89PNG\r\n\x1a\n"
	// mediaMark is what the names of the marks begin with, and the key of what they hold.
	mediaMark, mediaKey = "media/", "media_id"
)

// kind is what the step's file is for WeCom.
func (s *step) kind() string {
	if s.image {
		return wecom.TypeImage
	}
	return wecom.TypeFile
}

// sentences are the keys of what is said instead of a file.
type sentences struct{ gone, unfit, form, failed string }

func (s *step) says() sentences {
	if s.image {
		return sentences{"image.gone", "image.unfit", "image.form", "image.failed"}
	}
	return sentences{"file.gone", "file.unfit", "", "file.failed"}
}

// file sends a file or an image. Instead of one that cannot be sent comes a sentence.
func (l *lane) file(ctx context.Context, m *bus.Msg, app App, out wire.Outbound, s *step) (instead []step, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fileFor)
	defer cancel()
	defer keep(m)()
	store, err := l.bus.JS.ObjectStore(ctx, wire.BucketOutputs)
	switch {
	case errors.Is(err, jetstream.ErrBucketNotFound):
		return l.sentence(out, s, err, s.says().gone), nil
	case err != nil:
		return nil, fault.Wrap(fault.Transient, err, "object store")
	}
	if s.media == "" {
		s.media = l.marked(ctx, store, out, s)
	}
	if s.media == "" {
		if instead, err = l.upload(ctx, store, app, out, s); err != nil || instead != nil {
			return instead, err
		}
	}
	err = l.send(ctx, app, out, wecom.OutMessage{MsgType: s.kind(), MediaID: s.media})
	var api *wecom.APIError
	switch {
	case errors.As(err, &api) && api.Code == codeNoMedia:
		s.media = ""
		_ = store.Delete(ctx, markOf(out, s)) // at worst the next try meets it again
		return l.tried(out, s, err)
	case cardRefused(err):
		return l.sentence(out, s, err, s.says().failed), nil
	}
	return nil, err
}

// upload hands the file to WeCom.
func (l *lane) upload(ctx context.Context, store jetstream.ObjectStore, app App, out wire.Outbound, s *step) (instead []step, err error) {
	object, err := store.Get(ctx, s.file.Object)
	switch {
	case errors.Is(err, jetstream.ErrObjectNotFound) || errors.Is(err, jetstream.ErrNameRequired):
		return l.sentence(out, s, fault.Wrap(fault.NotFound, err, "output"), s.says().gone), nil
	case err != nil:
		return l.tried(out, s, fault.Wrap(fault.Transient, err, "output"))
	}
	defer func() { _ = object.Close() }()
	info, err := object.Info()
	if err != nil {
		return l.tried(out, s, fault.Wrap(fault.Transient, err, "output"))
	}
	size := int64(info.Size) //nolint:gosec // no store holds so much
	most := int64(wecom.MaxFile)
	if s.image {
		most = wecom.MaxImage
	}
	if size < wecom.MinFile || size > most {
		text := l.say(out, s.says().unfit, render.FileName(s.file.Name), size, wecom.MinFile, most>>20)
		l.refused(out, s.kind(), fault.New(fault.Invalid, "%d bytes", size))
		return text, nil
	}
	content := bufio.NewReader(object)
	if head, err := content.Peek(len(pngHead)); s.image && string(head) != pngHead {
		if err != nil && !errors.Is(err, io.EOF) {
			return l.tried(out, s, fault.Wrap(fault.Transient, err, "output"))
		}
		return l.sentence(out, s, fault.New(fault.Invalid, "no PNG"), s.says().form), nil
	}
	s.media, err = app.Sender.Upload(ctx, s.kind(), render.FileName(s.file.Name), content, size)
	if err = l.counted(app, err); err != nil {
		return l.tried(out, s, err)
	}
	// So that another process, should this one die, sends the very same message, which WeCom then knows and does not show
	// twice. Without the mark the person would see the file twice, which is no reason to fail.
	_, _ = store.Put(ctx, jetstream.ObjectMeta{Name: markOf(out, s), Metadata: map[string]string{mediaKey: s.media}}, nil)
	return nil, nil
}

// marked is the media id of an earlier upload, or nothing.
func (l *lane) marked(ctx context.Context, store jetstream.ObjectStore, out wire.Outbound, s *step) string {
	info, err := store.GetInfo(ctx, markOf(out, s))
	if err != nil || l.now().Sub(info.ModTime) > mediaFor {
		return ""
	}
	return info.Metadata[mediaKey]
}

// markOf names the mark of an upload. All apps of a corp may use its media.
func markOf(out wire.Outbound, s *step) string {
	if s.image {
		return mediaMark + out.Corp + "/" + wecom.TypeImage + "/" + s.file.Object
	}
	return mediaMark + out.Corp + "/" + s.file.Object
}

// tried notes a try that failed: either it comes again, or a sentence is sent instead. WeCom's frequency limit is no try.
func (l *lane) tried(out wire.Outbound, s *step, err error) ([]step, error) {
	var api *wecom.APIError
	if errors.As(err, &api) && api.Code == codeBusy {
		return nil, err
	}
	s.tries++
	kind := fault.KindOf(err)
	final := kind == fault.Denied || kind == fault.Invalid || kind == fault.NotFound
	if final || s.tries >= maxFileTries {
		return l.sentence(out, s, err, s.says().failed), nil
	}
	return nil, fault.Wrap(fault.Transient, err, "file")
}

// sentence is what is sent instead of the file, with an audit line that says why.
func (l *lane) sentence(out wire.Outbound, s *step, err error, key string) []step {
	l.refused(out, s.kind(), err)
	return l.say(out, key, render.FileName(s.file.Name))
}

func (l *lane) say(out wire.Outbound, key string, args ...any) []step {
	return textSteps(texts.Say(lang.Of(out.Lang), key, args...))
}

// keep tells the server that the message is in work until stop is called.
func keep(m *bus.Msg) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(ackWait / 3)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = m.Working() // at worst the message comes again
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/libs/wire"
)

func (w *world) store() jetstream.ObjectStore {
	w.t.Helper()
	s, err := w.bus.JS.ObjectStore(context.Background(), wire.BucketOutputs)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) keep(object, content string) {
	w.t.Helper()
	if _, err := w.store().PutString(context.Background(), object, content); err != nil {
		w.t.Fatal(err)
	}
}

func withFile(id, object, name string) wire.Outbound {
	o := out(id, "zhangsan", "输出见文件")
	o.File = &wire.File{Object: object, Name: name, Size: 1}
	return o
}

func (f *fake) uploaded() []upload {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]upload(nil), f.uploads...)
}

func (w *world) nextIs(text, media string) {
	w.t.Helper()
	m := w.next()
	if m.Text != text || m.MediaID != media || (media != "") != (m.MsgType == wecom.TypeFile || m.MsgType == wecom.TypeImage) || m.DuplicateCheck != time.Minute {
		w.t.Errorf("%+v, want %q %q", m, text, media)
	}
}

func TestAFileFollowsTheScreens(t *testing.T) {
	w := newWorld(t, nil)
	content := strings.Repeat("一行很长的输出\n", 40000) // several chunks
	w.keep("o1", content)
	w.publish(withFile("a", "o1", "日志/../web.log"))
	w.nextIs("输出见文件", "")
	w.nextIs("", "media-1")
	w.empty()
	if got := w.fake.uploaded(); len(got) != 1 || got[0].kind != "file" || got[0].name != "日志_.._web.log" || got[0].content != content {
		t.Errorf("%d uploads", len(got))
	}
	// The same output again, from another process as well, is not uploaded again while WeCom has it.
	w.stop()
	w.start()
	w.publish(withFile("b", "o1", "again.log"))
	w.nextIs("输出见文件", "")
	w.nextIs("", "media-1")
	w.empty()
	if len(w.fake.uploaded()) != 1 || len(w.trail.lines) != 0 {
		t.Error("uploaded again")
	}
}

// A file that cannot be sent is spoken of, in the person's language, and leaves an audit line.
func TestAFileThatCannotBeSentIsSpokenOf(t *testing.T) {
	w := newWorld(t, nil)
	w.keep("tiny", "12345")
	w.publish(withFile("a", "gone", "web.log"))
	w.nextIs("输出见文件", "")
	w.nextIs("文件「web.log」没有发出：文件只保存 7 天，现在已经不在了。仍需要时请重新执行查询。", "")
	if l := w.audited(); l.What != "file" || l.Reason != "not_found" || l.Ref != "a" {
		t.Errorf("%+v", l)
	}
	o := withFile("b", "gone", "web.log")
	o.Lang = "en"
	w.publish(o)
	w.next()
	w.nextIs("The file “web.log” was not sent: files are kept for 7 days, and this one is gone. If you still need it, run the query again.", "")
	w.audited()
	w.publish(withFile("c", "tiny", "web.log"))
	w.next()
	w.nextIs("文件「web.log」没有发出：它有 5 字节，企业微信只能发送 6 字节到 20 MB 的文件。请缩小查询范围后重试。", "")
	if l := w.audited(); l.Reason != "invalid" {
		t.Errorf("%+v", l)
	}
	if err := w.bus.JS.DeleteObjectStore(context.Background(), wire.BucketOutputs); err != nil {
		t.Fatal(err)
	}
	w.publish(withFile("d", "o", ""))
	w.next()
	w.nextIs("文件「output.txt」没有发出：文件只保存 7 天，现在已经不在了。仍需要时请重新执行查询。", "")
	w.empty()
	if len(w.fake.uploaded()) != 0 {
		t.Error("something was uploaded")
	}
}

func TestUploadsThatFail(t *testing.T) {
	const failed = "文件「web.log」没有发出：企业微信没有接受它。请稍后重新执行查询，仍然失败请联系管理员。"
	for name, c := range map[string]struct {
		upload func(try int) error
		tries  int
		media  string // or the sentence
		reason string
	}{
		"passes":         {func(try int) error { return failUntil(try, 3, fault.New(fault.Transient, "x")) }, 3, "media-3", ""},
		"lasts":          {func(int) error { return fault.New(fault.Transient, "x") }, maxFileTries, "", "transient"},
		"makes no sense": {func(int) error { return errors.New("x") }, maxFileTries, "", "internal"},
		"is a refusal":   {func(int) error { return &wecom.APIError{Code: 48002} }, 1, "", "errcode_48002"},
		"is too large":   {func(int) error { return &wecom.APIError{Code: 45001} }, 1, "", "errcode_45001"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.fake.upload = c.upload
			w.keep("o1", "some output")
			w.publish(withFile("a", "o1", "web.log"))
			w.nextIs("输出见文件", "")
			if c.media != "" {
				w.nextIs("", c.media)
			} else {
				w.nextIs(failed, "")
				if l := w.audited(); l.What != "file" || l.Reason != c.reason {
					t.Errorf("%+v", l)
				}
			}
			w.empty()
			if n := len(w.fake.uploaded()); n != c.tries || w.fake.count() != 2 {
				t.Errorf("%d uploads, %d messages", n, w.fake.count())
			}
		})
	}
}

func failUntil(try, good int, err error) error {
	if try < good {
		return err
	}
	return nil
}

// A file whose message failed is not uploaded again, unless WeCom no longer knows it; one that WeCom refuses is spoken of.
func TestFilesWhoseMessageFails(t *testing.T) {
	lost := fault.New(fault.Unknown, "no answer")
	for name, c := range map[string]struct {
		errs    []error // of the messages with the file
		sent    []string
		uploads int
	}{
		"answer lost":    {[]error{lost, lost}, []string{"media-1", "media-1", "media-1"}, 1},
		"media unknown":  {[]error{&wecom.APIError{Code: 40007}}, []string{"media-1", "media-2"}, 2},
		"never known":    {[]error{&wecom.APIError{Code: 40007}, &wecom.APIError{Code: 40007}, &wecom.APIError{Code: 40007}, &wecom.APIError{Code: 40007}, &wecom.APIError{Code: 40007}}, []string{"media-1", "media-2", "media-3", "media-4", "media-5", ""}, 5},
		"file forbidden": {[]error{&wecom.APIError{Code: 40058}}, []string{"media-1", ""}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			w := newWorld(t, func(_ int, m wecom.OutMessage) (wecom.SendResult, error) {
				if m.MsgType != wecom.TypeFile || n >= len(c.errs) {
					return wecom.SendResult{}, nil
				}
				n++
				return wecom.SendResult{}, c.errs[n-1]
			})
			w.keep("o1", "some output")
			o := withFile("a", "o1", "web.log")
			o.Screens = nil
			w.publish(o)
			w.next()
			w.empty()
			var sent []string
			for _, m := range w.fake.tries {
				sent = append(sent, m.MediaID)
			}
			if fmt.Sprint(sent) != fmt.Sprint(c.sent) || len(w.fake.uploaded()) != c.uploads {
				t.Errorf("sent %q, %d uploads", sent, len(w.fake.uploaded()))
			}
		})
	}
}

// A process that dies behind the upload leaves a mark, so that the next one sends the same message, which WeCom's own
// duplicate check knows. An old mark counts no more.
func TestAnUploadOutlivesItsProcess(t *testing.T) {
	w := newWorld(t, func(try int, _ wecom.OutMessage) (wecom.SendResult, error) {
		if try == 1 {
			return wecom.SendResult{}, fault.New(fault.Unknown, "no answer")
		}
		return wecom.SendResult{}, nil
	})
	w.keep("o1", "some output")
	o := withFile("a", "o1", "web.log")
	o.Screens = nil
	w.publish(o)
	w.next()
	w.empty()
	l := &lane{Outbox: &Outbox{bus: w.bus, now: time.Now}}
	s := &step{file: o.File}
	if got := l.marked(context.Background(), w.store(), o, s); got != "media-1" {
		t.Errorf("%q", got)
	}
	l.now = func() time.Time { return time.Now().Add(61 * time.Hour) }
	if got := l.marked(context.Background(), w.store(), o, s); got != "" {
		t.Errorf("an old mark: %q", got)
	}
	o.Corp = "ww2"
	l.now = time.Now
	if got := l.marked(context.Background(), w.store(), o, s); got != "" {
		t.Errorf("another corp's mark: %q", got)
	}
}

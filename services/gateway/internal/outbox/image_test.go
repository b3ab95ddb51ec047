package outbox

import (
	"bytes"
	"image"
	"image/png"
	"strings"
	"testing"

	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/libs/wire"
)

func picture(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 40, 30))); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func withImage(id, object string) wire.Outbound {
	o := out(id, "zhangsan", "CPU 最近一小时")
	o.Image = &wire.File{Object: object, Name: "cpu.png", Size: 1}
	return o
}

func TestAnImageComesBeforeTheScreens(t *testing.T) {
	w := newWorld(t, nil)
	content := picture(t)
	w.keep("img.a.png", content)
	w.keep("out.a", "many lines")
	o := withImage("a", "img.a.png")
	o.File = &wire.File{Object: "out.a", Name: "cpu.txt", Size: 1}
	w.publish(o)
	if m := w.next(); m.MsgType != wecom.TypeImage || m.MediaID != "media-1" {
		t.Errorf("%+v", m)
	}
	w.nextIs("CPU 最近一小时", "")
	if m := w.next(); m.MsgType != wecom.TypeFile || m.MediaID != "media-2" {
		t.Errorf("%+v", m)
	}
	w.empty()
	if got := w.fake.uploaded(); len(got) != 2 || got[0] != (upload{"image", "cpu.png", content}) || got[1].kind != "file" {
		t.Errorf("%d uploads", len(got))
	}
	w.publish(withImage("b", "img.a.png"))
	w.nextIs("", "media-1")
	w.nextIs("CPU 最近一小时", "")
	w.empty()
	if len(w.fake.uploaded()) != 2 {
		t.Error("uploaded again")
	}
}

// Without its image a result is told in words, and why the image is missing.
func TestAnImageThatCannotBeSent(t *testing.T) {
	w := newWorld(t, nil)
	w.keep("text", "no picture at all")
	w.keep("cut", "\x89PNG\r\n\x1a")
	w.keep("large", picture(t)+strings.Repeat("x", wire.MaxImage))
	for object, want := range map[string][2]string{
		"gone":  {"图片「cpu.png」没有发出：图片只保存 7 天，现在已经不在了。", "not_found"},
		"text":  {"图片「cpu.png」没有发出：它不是 PNG 图片。文字结果照常发送", "invalid"},
		"cut":   {"图片「cpu.png」没有发出：它不是 PNG 图片。", "invalid"},
		"large": {"企业微信只能显示 6 字节到 10 MB 的图片。文字结果照常发送", "invalid"},
	} {
		w.publish(withImage(object, object))
		if m := w.next(); m.MsgType != wecom.TypeText || !strings.Contains(m.Text, want[0]) {
			t.Errorf("%s: %+v", object, m)
		}
		w.nextIs("CPU 最近一小时", "")
		if l := w.audited(); l.What != "image" || l.Reason != want[1] {
			t.Errorf("%s: %+v", object, l)
		}
	}
	w.empty()
	if len(w.fake.uploaded()) != 0 {
		t.Error("something was uploaded")
	}

	w = newWorld(t, nil)
	w.fake.upload = func(int) error { return fault.New(fault.Denied, "no") }
	w.keep("img", picture(t))
	o := withImage("a", "img")
	o.Lang = "en"
	w.publish(o)
	w.nextIs("The image “cpu.png” was not sent: WeCom did not take it. The text follows; ask again later, and if it fails again, tell the administrator.", "")
	w.nextIs("CPU 最近一小时", "")
	w.empty()
}

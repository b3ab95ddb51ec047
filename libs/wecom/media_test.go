package wecom

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"palmops/libs/fault"
)

func TestUpload(t *testing.T) {
	f := newFakeAPI(t)
	content := []byte("一行输出\n" + strings.Repeat("x", 3<<20))
	f.on("media/upload", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Query().Get("type") != "file" || r.ContentLength < int64(len(content)) {
			t.Errorf("%s %s, %d bytes", r.Method, r.URL, r.ContentLength)
		}
		// A token that is no longer good: all of it has to be sent once more.
		if r.URL.Query().Get("access_token") == "T1" {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, `{"errcode":42001}`)
			return
		}
		file, head, err := r.FormFile("media")
		if err != nil {
			t.Error(err)
			return
		}
		got, err := io.ReadAll(file)
		if err != nil || !bytes.Equal(got, content) || head.Filename != `输出 "1".txt` ||
			!strings.HasSuffix(head.Header.Get("Content-Disposition"), "; filelength=3145741") || head.Header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%d bytes, %v, %v", len(got), head.Header, err)
		}
		_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"","type":"file","media_id":"m1","created_at":"1380000000"}`)
	})
	c := f.client(t, func(o *ClientOptions) { o.HTTP.Timeout = time.Hour })
	id, err := c.Upload(t.Context(), TypeFile, `输出 "1".txt`, bytes.NewReader(content), int64(len(content)))
	if err != nil || id != "m1" || f.fetched.Load() != 2 {
		t.Errorf("%q %v, %d tokens", id, err, f.fetched.Load())
	}
	if c.uploads.Timeout != 0 || c.http.Timeout != time.Hour {
		t.Error("an upload has the timeout of a short call")
	}

	var sent map[string]any
	f.on("message/send", posted(t, &sent, `{"errcode":0,"msgid":"m"}`))
	if _, err := c.Send(t.Context(), OutMessage{ToUser: "a", MsgType: TypeFile, MediaID: id, DuplicateCheck: time.Minute}); err != nil {
		t.Fatal(err)
	}
	wantJSON(t, sent, `{"agentid":1000002,"duplicate_check_interval":60,"enable_duplicate_check":1,"file":{"media_id":"m1"},"msgtype":"file","touser":"a"}`)
}

func TestAnImage(t *testing.T) {
	f := newFakeAPI(t)
	f.on("media/upload", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("type") != "image" {
			t.Errorf("%s", r.URL)
		}
		_, _ = io.WriteString(w, `{"errcode":0,"type":"image","media_id":"m1"}`)
	})
	c := f.client(t)
	id, err := c.Upload(t.Context(), TypeImage, "cpu.png", strings.NewReader("123456789"), 9)
	if err != nil || id != "m1" {
		t.Errorf("%q %v", id, err)
	}
	var sent map[string]any
	f.on("message/send", posted(t, &sent, `{"errcode":0,"msgid":"m"}`))
	if _, err := c.Send(t.Context(), OutMessage{ToUser: "a", MsgType: TypeImage, MediaID: id}); err != nil {
		t.Fatal(err)
	}
	wantJSON(t, sent, `{"agentid":1000002,"image":{"media_id":"m1"},"msgtype":"image","touser":"a"}`)
	_, err = c.Send(t.Context(), OutMessage{ToUser: "a", MsgType: TypeImage})
	wantKind(t, err, fault.Invalid)
}

func TestUploadsThatFail(t *testing.T) {
	f := newFakeAPI(t)
	c := f.client(t)
	upload := func(name string, r io.Reader, size int64) error {
		_, err := c.Upload(t.Context(), TypeFile, name, r, size)
		return err
	}
	for _, bad := range []struct {
		name string
		size int64
	}{{"", 9}, {strings.Repeat("n", 256), 9}, {"a/b", 9}, {`a\b`, 9}, {"a\r\nb", 9}, {"\xff", 9}, {"a", 5}, {"a", 20<<20 + 1}, {"a", -1}} {
		wantKind(t, upload(bad.name, strings.NewReader("123456789"), bad.size), fault.Invalid)
	}
	_, err := c.Upload(t.Context(), "voice", "a.amr", strings.NewReader("123456789"), 9)
	wantKind(t, err, fault.Invalid)
	_, err = c.Upload(t.Context(), TypeImage, "a.png", strings.NewReader("123456789"), MaxImage+1)
	wantKind(t, err, fault.Invalid)
	wantKind(t, upload("a", strings.NewReader("12345678"), 9), fault.Transient)
	wantKind(t, upload("a", strings.NewReader("1234567890"), 9), fault.Transient)
	wantKind(t, upload("a", iotest.ErrReader(errors.New("store")), 9), fault.Transient)
	if n := len(f.made()); n != 0 {
		t.Errorf("%d requests were made", n)
	}
	for answer, kind := range map[string]fault.Kind{
		`{"errcode":45001,"errmsg":"too large"}`: fault.Invalid, `{"errcode":48002}`: fault.Denied, `{"errcode":0}`: fault.Internal, `x`: fault.Internal,
	} {
		f.on("media/upload", say(answer))
		wantKind(t, upload("a", strings.NewReader("123456789"), 9), kind)
	}
	// What is uploaded twice is no harm.
	f.on("media/upload", hangUp)
	wantKind(t, upload("a", strings.NewReader("123456789"), 9), fault.Transient)
}

func TestListsOfTheDirectory(t *testing.T) {
	f := newFakeAPI(t)
	asked := ""
	with := func(body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			q.Del("access_token")
			asked = r.Method + " " + q.Encode()
			_, _ = io.WriteString(w, body)
		}
	}
	f.on("department/list", with(`{"errcode":0,"department":[{"id":2,"name":"研发","name_en":"R","department_leader":["a"],"parentid":1,"order":5}]}`))
	f.on("user/simplelist", with(`{"errcode":0,"userlist":[{"userid":"ZhangSan","name":"张三","department":[2],"open_userid":"x"}]}`))
	f.on("tag/list", with(`{"errcode":0,"taglist":[{"tagid":7,"tagname":"值班"}]}`))
	f.on("tag/get", with(`{"errcode":0,"errmsg":"ok","tagname":"值班","userlist":[{"userid":"lisi","name":"李四"}],"partylist":[2]}`))
	c := f.client(t)

	d, err := c.NamedDepartments(t.Context(), 0)
	if err != nil || len(d) != 1 || d[0] != (Department{2, 1, 5, "研发"}) || asked != "GET " {
		t.Errorf("%+v %v, asked %q", d, err, asked)
	}
	if _, err = c.NamedDepartments(t.Context(), 2); err != nil || asked != "GET id=2" {
		t.Errorf("%v, asked %q", err, asked)
	}
	m, err := c.Members(t.Context(), 2, true)
	if err != nil || len(m) != 1 || m[0] != (Member{"ZhangSan", "张三"}) || asked != "GET department_id=2&fetch_child=1" {
		t.Errorf("%+v %v, asked %q", m, err, asked)
	}
	if _, err = c.Members(t.Context(), 2, false); err != nil || asked != "GET department_id=2&fetch_child=0" {
		t.Errorf("%v, asked %q", err, asked)
	}
	tags, err := c.Tags(t.Context())
	if err != nil || len(tags) != 1 || tags[0] != (Tag{7, "值班"}) {
		t.Errorf("%+v %v", tags, err)
	}
	who, err := c.Tagged(t.Context(), 7)
	if err != nil || who.Name != "值班" || len(who.Members) != 1 || who.Members[0].UserID != "lisi" || len(who.Departments) != 1 || asked != "GET tagid=7" {
		t.Errorf("%+v %v, asked %q", who, err, asked)
	}

	f.on("department/list", say(`{"errcode":60123,"errmsg":"invalid party id"}`))
	_, err = c.NamedDepartments(t.Context(), 9)
	wantKind(t, err, fault.NotFound)
	f.on("user/simplelist", say(`{"errcode":60003}`))
	_, err = c.Members(t.Context(), 9, true)
	wantKind(t, err, fault.NotFound)
	f.on("tag/get", say(`{"errcode":40068}`))
	_, err = c.Tagged(t.Context(), 9)
	wantKind(t, err, fault.NotFound)
	f.on("tag/list", say(`{"errcode":48002}`))
	_, err = c.Tags(t.Context())
	wantKind(t, err, fault.Denied)
	_, err = c.NamedDepartments(t.Context(), -1)
	wantKind(t, err, fault.Invalid)
	_, err = c.Members(t.Context(), 0, true)
	wantKind(t, err, fault.Invalid)

	// A list may be longer than any other answer.
	f.on("user/simplelist", say(`{"errcode":0,"userlist":[`+strings.Repeat(`{"userid":"a","name":"b"},`, 80000)+`{}]}`))
	if m, err = c.Members(t.Context(), 1, true); err != nil || len(m) != 80001 {
		t.Errorf("%d members, %v", len(m), err)
	}
}

package wecom

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// refusedProperly fails unless err is an *Error that is fully filled in.
func refusedProperly(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code == 0 || e.Reason == "" {
		t.Fatalf("refused with %#v", err)
	}
}

// FuzzScanEnvelope: whatever the scanner takes, the standard library's readers, where they take it too, read the same.
func FuzzScanEnvelope(f *testing.F) {
	for _, s := range []string{
		`<xml><ToUserName><![CDATA[corp]]></ToUserName><AgentID><![CDATA[218]]></AgentID><Encrypt><![CDATA[abc+/==]]></Encrypt></xml>`,
		"<?xml version=\"1.0\" encoding='utf-8'?>\n<xml>\r\n<Encrypt>a&amp;&#x62;\r\nc<![CDATA[]]]]><![CDATA[>]]></Encrypt ><A><B/>x</A></xml>\n",
		`{"tousername":"corp","encrypt":"abc+\/==","agentid":218,"x":[{"y":null}]}`,
		`{"ENCRYPT":"\ud83d\udc4b","a":1e-5}`,
		`<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>`,
		`<!DOCTYPE x><xml><!-- --><Encrypt>&x;</Encrypt></xml>`,
		"{\"encrypt\":\"\xff\"}", "<xml><Encrypt>\xff", "<", "{",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		got, err := ScanEnvelope(body)
		if !bytes.Equal(body, before) {
			t.Fatal("the scanner wrote into the body")
		}
		if err != nil {
			refusedProperly(t, err)
			return
		}
		if form, p, err := scanEnvelope(body, openFields); !bytes.ContainsRune(body, '\r') &&
			(err != nil || form != got.Form || !bytes.Equal(p.encrypt, got.Encrypt) || string(p.agentID) != got.AgentID) {
			t.Fatalf("Open reads %q, %v; ScanEnvelope %+v", p.encrypt, err, got)
		}
		if got.Form == FormXML {
			var want struct {
				XMLName    xml.Name `xml:"xml"`
				ToUserName string
				Encrypt    string
			}
			if xml.Unmarshal(body, &want) == nil && (want.Encrypt != string(got.Encrypt) || want.ToUserName != got.ToUserName) {
				t.Fatalf("got %+v, encoding/xml has %+v", got, want)
			}
			return
		}
		// encoding/json takes other letters for those of a key; only what it can misread is left out.
		var want struct {
			ToUserName any
			Encrypt    any
		}
		if !json.Valid(body) {
			t.Fatal("encoding/json refuses it")
		}
		if bytes.ContainsAny(body, "\u017f\u212a") || bytes.Contains(body, []byte(`\u`)) || json.Unmarshal(body, &want) != nil {
			return
		}
		if s, ok := want.Encrypt.(string); ok && s != string(got.Encrypt) {
			t.Fatalf("got %+v, encoding/json has %+v", got, want)
		}
		if s, ok := want.ToUserName.(string); ok && s != got.ToUserName {
			t.Fatalf("got %+v, encoding/json has %+v", got, want)
		}
	})
}

// FuzzDecrypt takes the bytes once as base64 and once as a decrypted frame, and holds the outcome against a plain
// reading of the documentation.
func FuzzDecrypt(f *testing.F) {
	c := newCrypt(f, vectorCorp)
	for _, b := range [][]byte{
		[]byte(vectorEcho),
		{},
		make([]byte, 17), frame(2, "hi"+vectorCorp), frame(0xFFFFFFF0, "hi"+vectorCorp),
		bytes.Repeat([]byte{255}, 64), bytes.Repeat([]byte{32}, 32), []byte("QQ=="), []byte("QR=="), []byte("QUI=\n"), []byte("QUJD"),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return
		}
		raw, stdErr := base64.StdEncoding.Strict().DecodeString(string(data))
		canonical := stdErr == nil && !bytes.ContainsAny(data, "\r\n")
		buf := make([]byte, decodedSize(len(data)))
		n, ok := decodeBase64(buf, data)
		if ok != canonical || ok && !bytes.Equal(buf[:n], raw) {
			t.Fatalf("base64: %x, %v; the standard library has %x, %v", buf[:n], ok, raw, stdErr)
		}
		if _, err := c.Decrypt(string(data)); err != nil {
			refusedProperly(t, err)
		}

		whole := data[:len(data)/16*16]
		plain, err := c.Decrypt(sealRaw(c, whole))
		want, good := readFrame(whole, vectorCorp)
		if (err == nil) != good || !bytes.Equal(plain, want) {
			t.Fatalf("frame %x: got %x, %v; want %x, %v", whole, plain, err, want, good)
		}
		if err != nil {
			refusedProperly(t, err)
		}
	})
}

// readFrame reads a decrypted frame without regard to time or memory.
func readFrame(b []byte, receiveID string) ([]byte, bool) {
	if len(b) == 0 || len(b)%32 != 0 {
		return nil, false
	}
	pad := b[len(b)-1]
	if pad == 0 || pad > 32 || !bytes.HasSuffix(b, bytes.Repeat([]byte{pad}, int(pad))) {
		return nil, false
	}
	b = b[:len(b)-int(pad)]
	if len(b) < 20 {
		return nil, false
	}
	size := int64(binary.BigEndian.Uint32(b[16:]))
	if size > int64(len(b)-20) || string(b[20+size:]) != receiveID {
		return nil, false
	}
	return b[20 : 20+size], true
}

// FuzzMessageXML: whatever is read is written so that it reads the same, and the standard library reads it alike.
func FuzzMessageXML(f *testing.F) {
	for _, tc := range messageSamples {
		f.Add([]byte(tc.xml))
	}
	f.Add([]byte(`<xml><FromUserName>a</FromUserName><MsgType>b<![CDATA[&]]>&lt;</MsgType><Content>]]&gt;&#13;</Content></xml>`))
	f.Fuzz(func(t *testing.T, plain []byte) {
		got, err := ParseMessage(plain)
		if err != nil {
			refusedProperly(t, err)
			return
		}
		again, err := ParseMessage(MarshalMessage(FormJSON, got))
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("as JSON: %+v, %v, want %+v", again, err, got)
		}
		if !strings.HasPrefix(strings.TrimLeft(string(plain), " \t\r\n"), "<") {
			return
		}
		again, err = ParseMessage(MarshalMessage(FormXML, got))
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("as XML: %+v, %v, want %+v", again, err, got)
		}
		var want struct {
			XMLName      xml.Name `xml:"xml"`
			FromUserName string
			MsgType      string
			Content      string
		}
		if xml.Unmarshal(plain, &want) == nil &&
			(want.FromUserName != got.FromUserName || want.MsgType != got.MsgType || want.Content != got.Content) {
			t.Fatalf("got %+v, encoding/xml has %+v", got, want)
		}
	})
}

// FuzzMessageJSON: as FuzzMessageXML.
func FuzzMessageJSON(f *testing.F) {
	for _, tc := range messageSamples {
		if tc.json != "" {
			f.Add([]byte(tc.json))
		}
	}
	f.Add([]byte(`{"msgid":"1","from":{"userid":"z"},"msgtype":"event","event":{"eventtype":"template_card_event","template_card_event":{"selected_items":{"selected_item":{"option_ids":null}}}}}`))
	f.Fuzz(func(t *testing.T, plain []byte) {
		got, err := ParseMessage(plain)
		if err != nil {
			refusedProperly(t, err)
			return
		}
		again, err := ParseMessage(MarshalMessage(FormJSON, got))
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("as JSON: %+v, %v, want %+v", again, err, got)
		}
		if strings.HasPrefix(strings.TrimLeft(string(plain), " \t\r\n"), "{") && !json.Valid(plain) {
			t.Fatal("encoding/json refuses it")
		}
	})
}

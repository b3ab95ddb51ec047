package wecom

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"palmops/libs/fault"
)

func TestScanEnvelopeTakesWhatWeComAndItsSamplesWrite(t *testing.T) {
	want := Envelope{ToUserName: "corp", AgentID: "218", Encrypt: []byte("abc+/==")}
	for name, body := range map[string]string{
		"as documented":     `<xml><ToUserName><![CDATA[corp]]></ToUserName><AgentID><![CDATA[218]]></AgentID><Encrypt><![CDATA[abc+/==]]></Encrypt></xml>`,
		"another order":     `<xml><Encrypt><![CDATA[abc+/==]]></Encrypt><AgentId>218</AgentId><ToUserName>corp</ToUserName></xml>`,
		"on lines":          "\n<xml>\r\n  <ToUserName>corp</ToUserName>\n\t<AgentID>218</AgentID>\n<Encrypt>abc+/==</Encrypt>\n</xml>\n",
		"declared":          `<?xml version="1.0" encoding="utf-8" standalone='no' ?><xml><ToUserName>corp</ToUserName><AgentID>218</AgentID><Encrypt>abc+/==</Encrypt></xml>`,
		"entities":          `<xml><ToUserName>&#99;o&#x72;p</ToUserName><AgentID>218</AgentID><Encrypt>abc&#43;&#x2F;==</Encrypt></xml>`,
		"pieces":            `<xml><ToUserName>co<![CDATA[r]]><![CDATA[p]]></ToUserName><AgentID>218</AgentID><Encrypt>abc<![CDATA[+/]]>==</Encrypt></xml>`,
		"all entities":      `<xml><A>&lt;&gt;&quot;&apos;&amp;</A><ToUserName>corp</ToUserName><AgentID>218</AgentID><Encrypt>abc+/==</Encrypt></xml>`,
		"spaces in tags":    "<xml ><ToUserName\n>corp</ToUserName ><AgentID>218</AgentID\t><Encrypt>abc+/==</Encrypt></xml\n>",
		"something unknown": `<xml><New/><Deep><A><B><![CDATA[</Deep>]]></B></A>text &amp; more</Deep><ToUserName>corp</ToUserName><AgentID>218</AgentID><Encrypt>abc+/==</Encrypt></xml>`,
		"JSON, lower case":  `{"tousername":"corp","encrypt":"abc+/==","agentid":"218"}`,
		"JSON, a number":    `{"tousername":"corp","encrypt":"abc+/==","agentid":218}`,
		"JSON, capitals":    ` { "ToUserName" : "corp" , "Encrypt" : "abc+\/==" , "AgentID" : 218 } ` + "\n",
		"JSON, escapes":     `{"tousername":"\u0063orp","\u0065ncrypt":"abc\u002b/==","agentid":"218"}`,
		"JSON, unknown":     `{"new":[1,{"encrypt":"x"},[],{},true,false,null,-1.5e+3],"tousername":"corp","encrypt":"abc+/==","agentid":"218"}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ScanEnvelope([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			want.Form = FormXML
			if strings.HasPrefix(name, "JSON") {
				want.Form = FormJSON
			}
			if got.Form != want.Form || got.ToUserName != want.ToUserName || got.AgentID != want.AgentID || string(got.Encrypt) != string(want.Encrypt) {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
	// An AI bot sends nothing but the ciphertext.
	if got, err := ScanEnvelope([]byte(`{"encrypt":"abc"}`)); err != nil || string(got.Encrypt) != "abc" || got.AgentID != "" {
		t.Errorf("%+v, %v", got, err)
	}
	// An element without content is there, and empty.
	if got, err := ScanEnvelope([]byte(`<xml><ToUserName/><AgentID></AgentID><Encrypt>a</Encrypt></xml>`)); err != nil || got.ToUserName != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestScanEnvelopeRefusals(t *testing.T) {
	const e = `<Encrypt>abc</Encrypt>`
	deep := strings.Repeat("<a>", maxDepth+1) + strings.Repeat("</a>", maxDepth+1)
	for _, tc := range []struct{ name, body, reason string }{
		{"empty", "", ReasonTruncated},
		{"white space", " \n", ReasonTruncated},
		{"text", "hello", ReasonMalformed},
		{"byte order mark", "\ufeff<xml>" + e + "</xml>", ReasonMalformed},
		{"array", "[]", ReasonMalformed},
		{"too long", "<xml>" + e + "</xml>" + strings.Repeat(" ", MaxBody), ReasonOversized},
		{"no Encrypt", "<xml></xml>", ReasonMissing},
		{"empty root", "<xml/>", ReasonMissing},
		{"empty Encrypt", "<xml><Encrypt></Encrypt></xml>", ReasonMissing},
		{"two Encrypt", "<xml>" + e + e + "</xml>", ReasonDuplicate},
		{"two Encrypt, CDATA", "<xml><Encrypt><![CDATA[a]]></Encrypt><Encrypt><![CDATA[a]]></Encrypt></xml>", ReasonDuplicate},
		{"two Encrypt, one empty", "<xml>" + e + "<Encrypt/></xml>", ReasonDuplicate},
		{"AgentID and AgentId", "<xml>" + e + "<AgentID>1</AgentID><AgentId>1</AgentId></xml>", ReasonDuplicate},
		{"another root", "<html>" + e + "</html>", ReasonMalformed},
		{"trailing element", "<xml>" + e + "</xml><xml/>", ReasonTrailing},
		{"trailing text", "<xml>" + e + "</xml>x", ReasonTrailing},
		{"trailing zero byte", "<xml>" + e + "</xml>\x00", ReasonTrailing},
		{"trailing comment", "<xml>" + e + "</xml><!-- -->", ReasonTrailing},
		{"DOCTYPE", "<!DOCTYPE xml><xml>" + e + "</xml>", ReasonMalformed},
		{"entity declaration", `<!DOCTYPE x [<!ENTITY a "b">]><xml>` + e + "</xml>", ReasonMalformed},
		{"unknown entity", "<xml><Encrypt>&a;</Encrypt></xml>", ReasonMalformed},
		{"entity without an end", "<xml><Encrypt>&amp</Encrypt></xml>", ReasonMalformed},
		{"entity of a long number", "<xml><Encrypt>&#00000000099;</Encrypt></xml>", ReasonMalformed},
		{"entity beyond Unicode", "<xml><Encrypt>&#x110000;</Encrypt></xml>", ReasonMalformed},
		{"entity of a surrogate", "<xml><Encrypt>&#xD800;</Encrypt></xml>", ReasonMalformed},
		{"entity of zero", "<xml><Encrypt>&#0;</Encrypt></xml>", ReasonMalformed},
		{"entity without digits", "<xml><Encrypt>&#x;</Encrypt></xml>", ReasonMalformed},
		{"comment", "<xml><!-- x -->" + e + "</xml>", ReasonMalformed},
		{"comment in a value", "<xml><Encrypt>a<!-- x -->b</Encrypt></xml>", ReasonMalformed},
		{"instruction", "<xml><?x y?>" + e + "</xml>", ReasonMalformed},
		{"instruction first", "<?x y?><xml>" + e + "</xml>", ReasonMalformed},
		{"late declaration", ` <?xml version="1.0"?><xml>` + e + "</xml>", ReasonMalformed},
		{"another encoding", `<?xml version="1.0" encoding="gbk"?><xml>` + e + "</xml>", ReasonMalformed},
		{"another version", `<?xml version="1.1"?><xml>` + e + "</xml>", ReasonMalformed},
		{"no version", `<?xml encoding="utf-8"?><xml>` + e + "</xml>", ReasonMalformed},
		{"empty declaration", `<?xml?><xml>` + e + "</xml>", ReasonMalformed},
		{"declaration without a quote", `<?xml version=1.0?><xml>` + e + "</xml>", ReasonMalformed},
		{"declaration without an end", `<?xml version="1.0"`, ReasonTruncated},
		{"attribute", `<xml a="b">` + e + "</xml>", ReasonMalformed},
		{"attribute on a leaf", `<xml><Encrypt a="b">abc</Encrypt></xml>`, ReasonMalformed},
		{"prefix", `<xml><a:Encrypt>abc</a:Encrypt></xml>`, ReasonMalformed},
		{"name that begins with a digit", `<xml><1/>` + e + "</xml>", ReasonMalformed},
		{"no name", `<xml><>` + e + "</></xml>", ReasonMalformed},
		{"long name", `<xml><` + strings.Repeat("a", 65) + `/>` + e + "</xml>", ReasonOversized},
		{"text between", "<xml>a" + e + "</xml>", ReasonMalformed},
		{"element in a value", "<xml><Encrypt>a<b/>c</Encrypt></xml>", ReasonMalformed},
		{"end tag of another", "<xml><Encrypt>a</Encrypted></xml>", ReasonMalformed},
		{"crossed end tags", "<xml><A><B></A></B>" + e + "</xml>", ReasonMalformed},
		{"end tag with more", "<xml><Encrypt>a</Encrypt x></xml>", ReasonMalformed},
		{"CDATA end without start", "<xml><Encrypt>a]]>b</Encrypt></xml>", ReasonMalformed},
		{"control character", "<xml><ToUserName>a\x01</ToUserName>" + e + "</xml>", ReasonMalformed},
		{"not UTF-8", "<xml><ToUserName><![CDATA[a\xff]]></ToUserName>" + e + "</xml>", ReasonMalformed},
		{"nested too deep", "<xml>" + deep + e + "</xml>", ReasonOversized},
		{"too many", "<xml>" + strings.Repeat("<a/>", maxElements) + e + "</xml>", ReasonOversized},
		{"cut in the head", "<xm", ReasonTruncated},
		{"cut after the root", "<xml>", ReasonTruncated},
		{"cut in a value", "<xml><Encrypt>a", ReasonTruncated},
		{"cut in CDATA", "<xml><Encrypt><![CDATA[a]]", ReasonTruncated},
		{"cut in the CDATA head", "<xml><Encrypt><![CD", ReasonTruncated},
		{"cut after CDATA", "<xml><Encrypt><![CDATA[a]]>", ReasonTruncated},
		{"cut in an end tag", "<xml><Encrypt>a</Enc", ReasonTruncated},
		{"cut in something unknown", "<xml><A><B>", ReasonTruncated},
		{"cut at the end", "<xml>" + e, ReasonTruncated},

		{"JSON, cut", `{"encrypt":"abc"`, ReasonTruncated},
		{"JSON, cut in a string", `{"encrypt":"ab`, ReasonTruncated},
		{"JSON, cut in a word", `{"x":nul`, ReasonTruncated},
		{"JSON, wrong word", `{"x":nil,"encrypt":"a"}`, ReasonMalformed},
		{"JSON, cut in four digits", `{"encrypt":"\u00`, ReasonTruncated},
		{"JSON, wrong digits", `{"encrypt":"\u00zz"}`, ReasonMalformed},
		{"JSON, cut in an escape", `{"encrypt":"ab\`, ReasonTruncated},
		{"JSON, cut in a number", `{"agentid":-`, ReasonTruncated},
		{"JSON, trailing", `{"encrypt":"abc"}{}`, ReasonTrailing},
		{"JSON, no encrypt", `{}`, ReasonMissing},
		{"JSON, null", `{"encrypt":null}`, ReasonMissing},
		{"JSON, twice", `{"encrypt":"a","encrypt":"a"}`, ReasonDuplicate},
		{"JSON, twice in other cases", `{"encrypt":"a","Encrypt":"a"}`, ReasonDuplicate},
		{"JSON, twice with an escape", `{"encrypt":"a","\u0045ncrypt":"a"}`, ReasonDuplicate},
		{"JSON, an object", `{"encrypt":{}}`, ReasonMalformed},
		{"JSON, true", `{"encrypt":true}`, ReasonMalformed},
		{"JSON, comma at the end", `{"encrypt":"a",}`, ReasonMalformed},
		{"JSON, comma at the start", `{,"encrypt":"a"}`, ReasonMalformed},
		{"JSON, no colon", `{"encrypt" "a"}`, ReasonMalformed},
		{"JSON, key without quotes", `{encrypt:"a"}`, ReasonMalformed},
		{"JSON, single quotes", `{'encrypt':"a"}`, ReasonMalformed},
		{"JSON, comment", `{/* */"encrypt":"a"}`, ReasonMalformed},
		{"JSON, leading zero", `{"agentid":01,"encrypt":"a"}`, ReasonMalformed},
		{"JSON, plus sign", `{"agentid":+1,"encrypt":"a"}`, ReasonMalformed},
		{"JSON, bare fraction", `{"agentid":1.,"encrypt":"a"}`, ReasonMalformed},
		{"JSON, long number", `{"agentid":` + strings.Repeat("1", 65) + `,"encrypt":"a"}`, ReasonOversized},
		{"JSON, unknown escape", `{"encrypt":"\x41"}`, ReasonMalformed},
		{"JSON, half a pair", `{"encrypt":"\ud83d"}`, ReasonMalformed},
		{"JSON, wrong pair", `{"encrypt":"\ud83d\u0041"}`, ReasonMalformed},
		{"JSON, low half first", `{"encrypt":"\udc4b\ud83d"}`, ReasonMalformed},
		{"JSON, line break in a string", "{\"encrypt\":\"a\nb\"}", ReasonMalformed},
		{"JSON, not UTF-8", "{\"encrypt\":\"a\xff\"}", ReasonMalformed},
		{"JSON, foreign letter", `{"encr` + "\u212a" + `ypt":"a"}`, ReasonMissing},
		{"JSON, nested too deep", `{"a":` + strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1) + `}`, ReasonOversized},
		{"JSON, too many", `{"a":[0` + strings.Repeat(",0", maxElements) + `]}`, ReasonOversized},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ScanEnvelope([]byte(tc.body))
			wantRefusal(t, err, tc.reason, CodeParse)
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("kind %s", fault.KindOf(err))
			}
		})
	}
}

// Whatever is cut off at the end, what is left is refused.
func TestEveryTruncationIsRefused(t *testing.T) {
	c := newCrypt(t, vectorCorp)
	for _, form := range []Form{FormXML, FormJSON} {
		q, body, err := c.SealCallback(form, vectorCorp, "1", vectorTime, vectorNonce, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(body) {
			_, err := c.Open(q, body[:n])
			wantRefusal(t, err, ReasonTruncated, CodeParse)
		}
	}
}

// Of a sealed callback any one byte may be changed, lost or added, in the body or in the query: it is refused, or opens
// to what was sealed.
func TestMutatedCallbacksAreRefusedOrUnchanged(t *testing.T) {
	c := newCrypt(t, vectorCorp)
	check := func(t *rapid.T, q Query, body []byte, plain string) {
		o, err := c.Open(q, body)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Code == 0 || e.Reason == "" {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if string(o.Plain) != plain {
			t.Fatalf("opened to %q, sealed %q", o.Plain, plain)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.StringN(0, 60, 240).Draw(t, "plain")
		form := Form(rapid.IntRange(0, 1).Draw(t, "form"))
		q, body, err := c.SealCallback(form, vectorCorp, "1000002", vectorTime, vectorNonce, []byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		at, b := rapid.IntRange(0, len(body)-1).Draw(t, "at"), rapid.Byte().Draw(t, "byte")
		changed := slices.Clone(body)
		changed[at] = b
		check(t, q, changed, plain)
		check(t, q, slices.Delete(slices.Clone(body), at, at+1), plain)
		check(t, q, slices.Insert(slices.Clone(body), at, b), plain)

		for _, part := range []func(*Query) *string{
			func(q *Query) *string { return &q.Signature },
			func(q *Query) *string { return &q.Timestamp },
			func(q *Query) *string { return &q.Nonce },
		} {
			q := q
			s := []byte(*part(&q))
			s[at%len(s)] = b
			*part(&q) = string(s)
			check(t, q, body, plain)
		}
	})
}

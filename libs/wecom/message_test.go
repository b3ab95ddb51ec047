package wecom

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

const common = `<ToUserName><![CDATA[corp]]></ToUserName><FromUserName><![CDATA[zhangsan]]></FromUserName><CreateTime>1348831860</CreateTime>`

// messageSamples are the messages and events of pages 90239 and 90240, and of pages 100719 and 101027 for AI bots.
var messageSamples = []struct {
	name, xml, json string
	want            Message
}{
	{
		"text",
		`<xml>` + common + `<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[调整 <POD> 数 & 👋]]></Content><MsgId>1234567890123456</MsgId><AgentID>1</AgentID></xml>`,
		`{"ToUserName":"corp","FromUserName":"zhangsan","CreateTime":1348831860,"MsgType":"text","Content":"调整 <POD> 数 & \ud83d\udc4b","MsgId":1234567890123456,"AgentID":1}`,
		Message{MsgType: "text", Content: "调整 <POD> 数 & 👋", MsgID: "1234567890123456", AgentID: 1},
	},
	{
		"text, unwrapped, on lines",
		"<?xml version=\"1.0\"?>\n<xml>\n<ToUserName>corp</ToUserName>\n<FromUserName>zhangsan</FromUserName>\n<CreateTime> 1348831860 </CreateTime>\n<MsgType>text</MsgType>\n<Content>a &lt;b&gt; &#x4F60;&amp;\r\nc</Content>\n<MsgId>1</MsgId>\n<AgentId>218</AgentId>\n</xml>\n",
		`{"tousername":"corp","fromusername":"zhangsan","createtime":"1348831860","msgtype":"text","content":"a <b> \u4f60&\nc","msgid":"1","agentid":"218"}`,
		Message{MsgType: "text", Content: "a <b> 你&\nc", MsgID: "1", AgentID: 218},
	},
	{
		"image",
		`<xml>` + common + `<MsgType><![CDATA[image]]></MsgType><PicUrl><![CDATA[http://a/b?c&d]]></PicUrl><MediaId><![CDATA[m]]></MediaId><MsgId>1</MsgId><AgentID>1</AgentID></xml>`,
		`{"ToUserName":"corp","FromUserName":"zhangsan","CreateTime":1348831860,"MsgType":"image","PicUrl":"http:\/\/a\/b?c&d","MediaId":"m","MsgId":"1","AgentID":"1"}`,
		Message{MsgType: "image", PicURL: "http://a/b?c&d", MediaID: "m", MsgID: "1", AgentID: 1},
	},
	{
		"voice",
		`<xml>` + common + `<MsgType><![CDATA[voice]]></MsgType><MediaId><![CDATA[m]]></MediaId><Format><![CDATA[amr]]></Format><MsgId>1</MsgId><AgentID>1</AgentID></xml>`, "",
		Message{MsgType: "voice", MediaID: "m", Format: "amr", MsgID: "1", AgentID: 1},
	},
	{
		"video",
		`<xml>` + common + `<MsgType><![CDATA[video]]></MsgType><MediaId><![CDATA[m]]></MediaId><ThumbMediaId><![CDATA[t]]></ThumbMediaId><MsgId>1</MsgId><AgentID>1</AgentID></xml>`, "",
		Message{MsgType: "video", MediaID: "m", ThumbMediaID: "t", MsgID: "1", AgentID: 1},
	},
	{
		"location",
		`<xml>` + common + `<MsgType><![CDATA[location]]></MsgType><Location_X>23.134</Location_X><Location_Y>-113.358</Location_Y><Scale>20</Scale><Label><![CDATA[位置]]></Label><MsgId>1</MsgId><AgentID>1</AgentID><AppType><![CDATA[wxwork]]></AppType></xml>`, "",
		Message{MsgType: "location", Latitude: 23.134, Longitude: -113.358, Scale: 20, Label: "位置", AppType: "wxwork", MsgID: "1", AgentID: 1},
	},
	{
		"link",
		`<xml>` + common + `<MsgType><![CDATA[link]]></MsgType><Title><![CDATA[t]]></Title><Description><![CDATA[d]]></Description><Url><![CDATA[u]]></Url><PicUrl><![CDATA[p]]></PicUrl><MsgId>1</MsgId><AgentID>1</AgentID></xml>`, "",
		Message{MsgType: "link", Title: "t", Description: "d", URL: "u", PicURL: "p", MsgID: "1", AgentID: 1},
	},
	{
		"subscribe",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[subscribe]]></Event><EventKey><![CDATA[]]></EventKey><AgentID>1</AgentID></xml>`, "",
		Message{MsgType: "event", Event: "subscribe", AgentID: 1},
	},
	{
		"enter_agent",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[enter_agent]]></Event><EventKey/><AgentID>1</AgentID></xml>`,
		`{"ToUserName":"corp","FromUserName":"zhangsan","CreateTime":1348831860,"MsgType":"event","Event":"enter_agent","EventKey":"","AgentID":1}`,
		Message{MsgType: "event", Event: "enter_agent", AgentID: 1},
	},
	{
		"LOCATION",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[LOCATION]]></Event><Latitude>23.104105</Latitude><Longitude>113.320107</Longitude><Precision>65.000000</Precision><AgentID>1</AgentID><AppType><![CDATA[wxwork]]></AppType></xml>`, "",
		Message{MsgType: "event", Event: "LOCATION", Latitude: 23.104105, Longitude: 113.320107, Precision: 65, AppType: "wxwork", AgentID: 1},
	},
	{
		"click",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[click]]></Event><EventKey><![CDATA[MENU_1]]></EventKey><AgentID>1</AgentID></xml>`, "",
		Message{MsgType: "event", Event: "click", EventKey: "MENU_1", AgentID: 1},
	},
	{
		"view",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[view]]></Event><EventKey><![CDATA[https://a.b/]]></EventKey><AgentID>1</AgentID></xml>`, "",
		Message{MsgType: "event", Event: "view", EventKey: "https://a.b/", AgentID: 1},
	},
	{
		"scancode_waitmsg",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[scancode_waitmsg]]></Event><EventKey><![CDATA[6]]></EventKey><ScanCodeInfo><ScanType><![CDATA[qrcode]]></ScanType><ScanResult><![CDATA[2]]></ScanResult></ScanCodeInfo><AgentID>1</AgentID></xml>`,
		`{"ToUserName":"corp","FromUserName":"zhangsan","CreateTime":1348831860,"MsgType":"event","Event":"scancode_waitmsg","EventKey":"6","ScanCodeInfo":{"ScanType":"qrcode","ScanResult":"2"},"AgentID":1}`,
		Message{MsgType: "event", Event: "scancode_waitmsg", EventKey: "6", ScanType: "qrcode", ScanResult: "2", AgentID: 1},
	},
	{
		"pic_sysphoto",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[pic_sysphoto]]></Event><EventKey><![CDATA[6]]></EventKey><SendPicsInfo><Count>2</Count><PicList><item><PicMd5Sum><![CDATA[aa]]></PicMd5Sum></item><item><PicMd5Sum><![CDATA[bb]]></PicMd5Sum></item></PicList></SendPicsInfo><AgentID>1</AgentID></xml>`,
		`{"ToUserName":"corp","FromUserName":"zhangsan","CreateTime":1348831860,"MsgType":"event","Event":"pic_sysphoto","EventKey":"6","SendPicsInfo":{"Count":2,"PicList":{"item":[{"PicMd5Sum":"aa"},{"PicMd5Sum":"bb"}]}},"AgentID":1}`,
		Message{MsgType: "event", Event: "pic_sysphoto", EventKey: "6", PicCount: 2, PicMD5Sums: []string{"aa", "bb"}, AgentID: 1},
	},
	{
		"location_select",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[location_select]]></Event><EventKey><![CDATA[6]]></EventKey><SendLocationInfo><Location_X><![CDATA[23]]></Location_X><Location_Y><![CDATA[113]]></Location_Y><Scale><![CDATA[15]]></Scale><Label><![CDATA[广州]]></Label><Poiname><![CDATA[馆]]></Poiname></SendLocationInfo><AgentID>1</AgentID><AppType><![CDATA[wxwork]]></AppType></xml>`, "",
		Message{MsgType: "event", Event: "location_select", EventKey: "6", Latitude: 23, Longitude: 113, Scale: 15, Label: "广州", PoiName: "馆", AppType: "wxwork", AgentID: 1},
	},
	{
		"batch_job_result",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[batch_job_result]]></Event><BatchJob><JobId><![CDATA[S0]]></JobId><JobType><![CDATA[sync_user]]></JobType><ErrCode>0</ErrCode><ErrMsg><![CDATA[ok]]></ErrMsg></BatchJob></xml>`, "",
		Message{MsgType: "event", Event: "batch_job_result", JobID: "S0", JobType: "sync_user", ErrMsg: "ok"},
	},
	{
		"change_contact, member",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_contact]]></Event><ChangeType>update_user</ChangeType><UserID><![CDATA[zhangsan]]></UserID><NewUserID><![CDATA[zhangsan001]]></NewUserID><Department><![CDATA[1,2,3]]></Department><IsLeaderInDept>1</IsLeaderInDept><ExtAttr><Item><Name>爱好</Name><Type>0</Type><Text><Value>旅游</Value></Text></Item></ExtAttr></xml>`, "",
		Message{MsgType: "event", Event: "change_contact", ChangeType: "update_user", UserID: "zhangsan", NewUserID: "zhangsan001", Department: "1,2,3"},
	},
	{
		"change_contact, department",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_contact]]></Event><ChangeType>create_party</ChangeType><Id>2</Id><Name><![CDATA[张三]]></Name><ParentId><![CDATA[1]]></ParentId><Order>1</Order></xml>`, "",
		Message{MsgType: "event", Event: "change_contact", ChangeType: "create_party", PartyID: "2", Name: "张三", ParentID: "1", Order: 1},
	},
	{
		"change_contact, tag",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_contact]]></Event><ChangeType><![CDATA[update_tag]]></ChangeType><TagId>1</TagId><AddUserItems><![CDATA[a,b]]></AddUserItems><DelUserItems><![CDATA[c]]></DelUserItems><AddPartyItems><![CDATA[1]]></AddPartyItems><DelPartyItems><![CDATA[3,4]]></DelPartyItems></xml>`, "",
		Message{MsgType: "event", Event: "change_contact", ChangeType: "update_tag", TagID: "1", AddUserItems: "a,b", DelUserItems: "c", AddPartyItems: "1", DelPartyItems: "3,4"},
	},
	{
		"open_approval_change",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[open_approval_change]]></Event><AgentID>1</AgentID><ApprovalInfo><ThirdNo><![CDATA[2019]]></ThirdNo><OpenSpName><![CDATA[付款]]></OpenSpName><OpenTemplateId><![CDATA[t]]></OpenTemplateId><OpenSpStatus>1</OpenSpStatus><ApplyTime>1527837645</ApplyTime><ApplyUserName><![CDATA[x]]></ApplyUserName><ApplyUserId><![CDATA[ew]]></ApplyUserId><ApprovalNodes><ApprovalNode><NodeStatus>1</NodeStatus><Items><Item><ItemStatus>1</ItemStatus></Item></Items></ApprovalNode></ApprovalNodes><approverstep>0</approverstep></ApprovalInfo></xml>`, "",
		Message{MsgType: "event", Event: "open_approval_change", AgentID: 1, ThirdNo: "2019", OpenSpName: "付款", OpenTemplateID: "t", OpenSpStatus: 1, ApplyTime: 1527837645, ApplyUserID: "ew"},
	},
	{
		"template_card_event",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[template_card_event]]></Event><EventKey><![CDATA[key111]]></EventKey><TaskId><![CDATA[taskid111]]></TaskId><CardType><![CDATA[vote_interaction]]></CardType><ResponseCode><![CDATA[rc]]></ResponseCode><AgentID>1</AgentID><SelectedItems><SelectedItem><QuestionKey><![CDATA[q1]]></QuestionKey><OptionIds><OptionId><![CDATA[a1]]></OptionId><OptionId><![CDATA[a2]]></OptionId></OptionIds></SelectedItem><SelectedItem><QuestionKey><![CDATA[q2]]></QuestionKey><OptionIds><OptionId><![CDATA[b]]></OptionId></OptionIds></SelectedItem></SelectedItems></xml>`,
		`{"ToUserName":"corp","FromUserName":"zhangsan","CreateTime":1348831860,"MsgType":"event","Event":"template_card_event","EventKey":"key111","TaskId":"taskid111","CardType":"vote_interaction","ResponseCode":"rc","AgentID":1,"SelectedItems":{"SelectedItem":[{"QuestionKey":"q1","OptionIds":{"OptionId":["a1","a2"]}},{"QuestionKey":"q2","OptionIds":{"OptionId":"b"}}]}}`,
		Message{
			MsgType: "event", Event: "template_card_event", EventKey: "key111", TaskID: "taskid111", CardType: "vote_interaction", ResponseCode: "rc", AgentID: 1,
			SelectedItems: []SelectedItem{{"q1", []string{"a1", "a2"}}, {"q2", []string{"b"}}},
		},
	},
	{
		"template_card_menu_event",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[template_card_menu_event]]></Event><EventKey><![CDATA[k]]></EventKey><TaskId><![CDATA[t]]></TaskId><CardType><![CDATA[text_notice]]></CardType><ResponseCode><![CDATA[rc]]></ResponseCode><AgentID>1</AgentID></xml>`, "",
		Message{MsgType: "event", Event: "template_card_menu_event", EventKey: "k", TaskID: "t", CardType: "text_notice", ResponseCode: "rc", AgentID: 1},
	},
	{
		"inactive_alert",
		`<xml>` + common + `<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[inactive_alert]]></Event><EffectTime>1624523430</EffectTime><AgentID>1</AgentID></xml>`, "",
		Message{MsgType: "event", Event: "inactive_alert", EffectTime: 1624523430, AgentID: 1},
	},
}

func TestParseMessageOfEveryKind(t *testing.T) {
	for _, tc := range messageSamples {
		want := tc.want
		want.ToUserName, want.FromUserName, want.CreateTime = "corp", "zhangsan", 1348831860
		for form, plain := range map[Form]string{FormXML: tc.xml, FormJSON: tc.json} {
			if plain == "" {
				continue
			}
			t.Run(tc.name+"/"+form.String(), func(t *testing.T) {
				got, err := ParseMessage([]byte(plain))
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
				for _, form := range []Form{FormXML, FormJSON} {
					again, err := ParseMessage(MarshalMessage(form, got))
					if err != nil || !reflect.DeepEqual(again, got) {
						t.Errorf("%s, written and read again: %+v, %v", form, again, err)
					}
				}
			})
		}
	}
}

func TestParseMessageOfAIBots(t *testing.T) {
	for name, tc := range map[string]struct {
		json string
		want Message
	}{
		"text": {
			`{"msgid":"CAIQ","aibotid":"AIBOT","chatid":"C","chattype":"group","from":{"corpid":"c","userid":"zhangsan"},"response_url":"https://a/b","msgtype":"text","text":{"content":"@机器人 你好"},"quote":{"msgtype":"text","text":{"content":"no"}}}`,
			Message{MsgID: "CAIQ", BotID: "AIBOT", ChatID: "C", ChatType: "group", FromUserName: "zhangsan", ResponseURL: "https://a/b", MsgType: "text", Content: "@机器人 你好"},
		},
		"image": {
			`{"msgid":"1","aibotid":"A","chattype":"single","from":{"userid":"z"},"msgtype":"image","image":{"url":"https://a"}}`,
			Message{MsgID: "1", BotID: "A", ChatType: "single", FromUserName: "z", MsgType: "image", URL: "https://a"},
		},
		"mixed": {
			`{"msgid":"1","from":{"userid":"z"},"msgtype":"mixed","mixed":{"msg_item":[{"msgtype":"text","text":{"content":"a"}}]}}`,
			Message{MsgID: "1", FromUserName: "z", MsgType: "mixed"},
		},
		"stream": {
			`{"msgid":"1","from":{"userid":"z"},"msgtype":"stream","stream":{"id":"s"}}`,
			Message{MsgID: "1", FromUserName: "z", MsgType: "stream", StreamID: "s"},
		},
		"card": {
			`{"msgid":"1","from":{"userid":"z"},"msgtype":"event","event":{"eventtype":"template_card_event","template_card_event":{"card_type":"vote_interaction","event_key":"k","task_id":"t","selected_items":{"selected_item":[{"question_key":"q","option_ids":{"option_id":["a","b"]}}]}}}}`,
			Message{
				MsgID: "1", FromUserName: "z", MsgType: "event", Event: "template_card_event", CardType: "vote_interaction", EventKey: "k", TaskID: "t",
				SelectedItems: []SelectedItem{{"q", []string{"a", "b"}}},
			},
		},
	} {
		got, err := ParseMessage([]byte(tc.json))
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, got, err, tc.want)
		}
		if again, err := ParseMessage(MarshalMessage(FormJSON, got)); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s, written and read again: %+v, %v", name, again, err)
		}
	}
}

func TestParseMessageRefusals(t *testing.T) {
	const base = common + `<MsgType>text</MsgType>`
	for _, tc := range []struct{ name, plain, reason string }{
		{"empty", "", ReasonTruncated},
		{"too long", "<xml>" + base + "</xml>" + strings.Repeat(" ", MaxBody), ReasonOversized},
		{"no sender", "<xml><MsgType>text</MsgType></xml>", ReasonMissing},
		{"no type", "<xml>" + common + "</xml>", ReasonMissing},
		{"nothing", "<xml/>", ReasonMissing},
		{"two contents", "<xml>" + base + "<Content>a</Content><Content>a</Content></xml>", ReasonDuplicate},
		{"two senders", "<xml>" + base + "<FromUserName/></xml>", ReasonDuplicate},
		{"two spellings", "<xml>" + base + "<AgentID>1</AgentID><AgentId>1</AgentId></xml>", ReasonDuplicate},
		{"two places", "<xml>" + base + "<Latitude>1</Latitude><Location_X>1</Location_X></xml>", ReasonDuplicate},
		{"two keys of one question", "<xml>" + base + "<SelectedItems><SelectedItem><QuestionKey>a</QuestionKey><QuestionKey>a</QuestionKey></SelectedItem></SelectedItems></xml>", ReasonDuplicate},
		{"two lists", "<xml>" + base + "<SelectedItems/><SelectedItems/></xml>", ReasonDuplicate},
		{"trailing", "<xml>" + base + "</xml>x", ReasonTrailing},
		{"truncated", "<xml>" + base, ReasonTruncated},
		{"DOCTYPE", "<!DOCTYPE x><xml>" + base + "</xml>", ReasonMalformed},
		{"element in a value", "<xml>" + base + "<Content><a/></Content></xml>", ReasonMalformed},
		{"time that is none", "<xml><FromUserName>a</FromUserName><MsgType>text</MsgType><CreateTime>now</CreateTime></xml>", ReasonValue},
		{"time with a sign", "<xml><FromUserName>a</FromUserName><MsgType>text</MsgType><CreateTime>+1</CreateTime></xml>", ReasonValue},
		{"time out of range", "<xml><FromUserName>a</FromUserName><MsgType>text</MsgType><CreateTime>9223372036854775808</CreateTime></xml>", ReasonValue},
		{"agent in hexadecimal", "<xml>" + base + "<AgentID>0x1</AgentID></xml>", ReasonValue},
		{"infinite latitude", "<xml>" + base + "<Latitude>Inf</Latitude></xml>", ReasonValue},
		{"hexadecimal latitude", "<xml>" + base + "<Latitude>0x1p1</Latitude></xml>", ReasonValue},
		{"latitude beyond range", "<xml>" + base + "<Latitude>1e999</Latitude></xml>", ReasonValue},
		{"JSON, two senders", `{"FromUserName":"a","from_username":"b","MsgType":"text"}`, ReasonDuplicate},
		{"JSON, content is a list", `{"FromUserName":"a","MsgType":"text","Content":["x"]}`, ReasonMalformed},
		{"JSON, time is a fraction", `{"FromUserName":"a","MsgType":"text","CreateTime":1.5}`, ReasonValue},
		{"JSON, time in scientific notation", `{"FromUserName":"a","MsgType":"text","CreateTime":1e9}`, ReasonValue},
		{"JSON, list of lists", `{"FromUserName":"a","MsgType":"text","SelectedItems":{"SelectedItem":[[]]}}`, ReasonMalformed},
		{"JSON, trailing", `{"FromUserName":"a","MsgType":"text"},`, ReasonTrailing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseMessage([]byte(tc.plain))
			wantRefusal(t, err, tc.reason, CodeParse)
			if !reflect.DeepEqual(got, Message{}) {
				t.Errorf("a refused message holds %+v", got)
			}
		})
	}
}

// anyText is text that both forms can hold.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringN(0, 20, 80),
		rapid.SampledFrom([]string{"]]>", "]]]]>>", "<![CDATA[x]]>", "a\r\nb\rc\n", "&amp;&#13;", `"\u0041\`, " ", "👋你好", "-"}),
	)
}

// readable is s as XML brings it across.
func readable(s string) string {
	return strings.Map(func(r rune) rune {
		if !isXMLRune(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

func TestMessagesSurviveBothForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return anyText().Draw(t, name) }
		m := Message{
			ToUserName: text("to"), FromUserName: "u" + text("from"), CreateTime: rapid.Int64().Draw(t, "time"),
			MsgType: "m" + text("type"), AgentID: rapid.Int64().Draw(t, "agent"), MsgID: text("id"), Content: text("content"),
			Event: text("event"), EventKey: text("key"), TaskID: text("task"), Title: text("title"), URL: text("url"),
			Latitude: rapid.Float64().Draw(t, "x"), Longitude: rapid.Float64Range(-180, 180).Draw(t, "y"), Scale: rapid.Int64().Draw(t, "scale"),
			Label: text("label"), PoiName: text("poi"), ScanResult: text("scan"), UserID: text("user"), ErrMsg: text("err"), ThirdNo: text("no"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			item := SelectedItem{QuestionKey: text("question")}
			for range rapid.IntRange(0, 3).Draw(t, "options") {
				item.OptionIDs = append(item.OptionIDs, text("option"))
			}
			m.SelectedItems = append(m.SelectedItems, item)
		}
		got, err := ParseMessage(MarshalMessage(FormJSON, m))
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("JSON: %+v, %v\nwant %+v", got, err, m)
		}
		// In XML some characters do not exist.
		for _, s := range []*string{
			&m.ToUserName, &m.FromUserName, &m.MsgType, &m.MsgID, &m.Content, &m.Event, &m.EventKey, &m.TaskID, &m.Title, &m.URL,
			&m.Label, &m.PoiName, &m.ScanResult, &m.UserID, &m.ErrMsg, &m.ThirdNo,
		} {
			*s = readable(*s)
		}
		for i := range m.SelectedItems {
			m.SelectedItems[i].QuestionKey = readable(m.SelectedItems[i].QuestionKey)
			for j, id := range m.SelectedItems[i].OptionIDs {
				m.SelectedItems[i].OptionIDs[j] = readable(id)
			}
		}
		got, err = ParseMessage(MarshalMessage(FormXML, m))
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("XML: %+v, %v\nwant %+v", got, err, m)
		}
	})
}

func TestTextReplyIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, form := anyText().Draw(t, "text"), Form(rapid.IntRange(0, 1).Draw(t, "form"))
		got, err := ParseReply(TextReply(form, "zhangsan", "corp", 1348831860, text))
		if form == FormXML {
			text = readable(text)
		}
		want := Reply{ToUserName: "zhangsan", FromUserName: "corp", CreateTime: 1348831860, MsgType: "text", Content: text}
		if err != nil || got != want {
			t.Fatalf("%+v, %v, want %+v", got, err, want)
		}
	})
	for _, tc := range []struct{ plain, reason string }{
		{"<xml/>", ReasonMissing},
		{"<xml><ToUserName>a</ToUserName></xml>", ReasonMissing},
		{"<xml><ToUserName>a</ToUserName><MsgType>text</MsgType><CreateTime>x</CreateTime></xml>", ReasonValue},
		{"", ReasonTruncated},
	} {
		_, err := ParseReply([]byte(tc.plain))
		wantRefusal(t, err, tc.reason, CodeParse)
	}
}

package wecom

import "strconv"

// MarshalMessage writes m as an application would receive it. What ParseMessage reads back is m, except that
// characters that the form cannot hold become U+FFFD, that an empty list is no list, and that what only AI bots have
// is written in JSON only. Fields without content are left out, but for those that every message has.
func MarshalMessage(form Form, m Message) []byte {
	w := &emitter{json: form == FormJSON, b: make([]byte, 0, 512)}
	w.begin()
	w.text("ToUserName", m.ToUserName)
	w.text("FromUserName", m.FromUserName)
	w.num("CreateTime", m.CreateTime)
	w.text("MsgType", m.MsgType)
	w.text("Event", m.Event)
	w.text("EventKey", m.EventKey)
	w.text("Content", m.Content)
	w.text("PicUrl", m.PicURL)
	w.text("MediaId", m.MediaID)
	w.text("Format", m.Format)
	w.text("ThumbMediaId", m.ThumbMediaID)
	w.text("Title", m.Title)
	w.text("Description", m.Description)
	w.text("Url", m.URL)
	w.location(&m)
	w.text("AppType", m.AppType)
	w.scanned(&m)
	w.pictures(&m)
	w.card(&m)
	w.job(&m)
	w.contact(&m)
	w.numIf("EffectTime", m.EffectTime)
	w.approval(&m)
	w.text("MsgId", m.MsgID)
	w.num("AgentID", m.AgentID)
	if w.json {
		w.bot(&m)
	}
	return w.done()
}

func (w *emitter) location(m *Message) {
	switch {
	case m.Event == "location_select" || m.PoiName != "":
		w.open("SendLocationInfo")
		w.real("Location_X", m.Latitude)
		w.real("Location_Y", m.Longitude)
		w.numIf("Scale", m.Scale)
		w.text("Label", m.Label)
		w.text("Poiname", m.PoiName)
		w.close("SendLocationInfo")
	case m.MsgType == "location":
		w.real("Location_X", m.Latitude)
		w.real("Location_Y", m.Longitude)
		w.numIf("Scale", m.Scale)
		w.text("Label", m.Label)
	default:
		w.real("Latitude", m.Latitude)
		w.real("Longitude", m.Longitude)
		w.numIf("Scale", m.Scale)
		w.text("Label", m.Label)
	}
	w.real("Precision", m.Precision)
}

func (w *emitter) scanned(m *Message) {
	if m.ScanType == "" && m.ScanResult == "" {
		return
	}
	w.open("ScanCodeInfo")
	w.text("ScanType", m.ScanType)
	w.text("ScanResult", m.ScanResult)
	w.close("ScanCodeInfo")
}

func (w *emitter) pictures(m *Message) {
	if m.PicCount == 0 && len(m.PicMD5Sums) == 0 {
		return
	}
	w.open("SendPicsInfo")
	w.num("Count", m.PicCount)
	w.open("PicList")
	w.list("item")
	for _, sum := range m.PicMD5Sums {
		w.item("item")
		w.leaf("PicMd5Sum", sum)
		w.close("item")
	}
	w.endList()
	w.close("PicList")
	w.close("SendPicsInfo")
}

func (w *emitter) card(m *Message) {
	w.text("TaskId", m.TaskID)
	w.text("CardType", m.CardType)
	w.text("ResponseCode", m.ResponseCode)
	if len(m.SelectedItems) == 0 {
		return
	}
	w.open("SelectedItems")
	w.list("SelectedItem")
	for _, item := range m.SelectedItems {
		w.item("SelectedItem")
		w.text("QuestionKey", item.QuestionKey)
		w.open("OptionIds")
		w.list("OptionId")
		for _, id := range item.OptionIDs {
			w.itemText("OptionId", id)
		}
		w.endList()
		w.close("OptionIds")
		w.close("SelectedItem")
	}
	w.endList()
	w.close("SelectedItems")
}

func (w *emitter) job(m *Message) {
	if m.JobID == "" && m.JobType == "" && m.ErrCode == 0 && m.ErrMsg == "" {
		return
	}
	w.open("BatchJob")
	w.text("JobId", m.JobID)
	w.text("JobType", m.JobType)
	w.num("ErrCode", m.ErrCode)
	w.text("ErrMsg", m.ErrMsg)
	w.close("BatchJob")
}

func (w *emitter) contact(m *Message) {
	w.text("ChangeType", m.ChangeType)
	w.text("UserID", m.UserID)
	w.text("NewUserID", m.NewUserID)
	w.text("Department", m.Department)
	w.text("Id", m.PartyID)
	w.text("Name", m.Name)
	w.text("ParentId", m.ParentID)
	w.numIf("Order", m.Order)
	w.text("TagId", m.TagID)
	w.text("AddUserItems", m.AddUserItems)
	w.text("DelUserItems", m.DelUserItems)
	w.text("AddPartyItems", m.AddPartyItems)
	w.text("DelPartyItems", m.DelPartyItems)
}

func (w *emitter) approval(m *Message) {
	if m.ThirdNo == "" && m.OpenSpName == "" && m.OpenTemplateID == "" && m.OpenSpStatus == 0 &&
		m.ApplyTime == 0 && m.ApplyUserID == "" {
		return
	}
	w.open("ApprovalInfo")
	w.text("ThirdNo", m.ThirdNo)
	w.text("OpenSpName", m.OpenSpName)
	w.text("OpenTemplateId", m.OpenTemplateID)
	w.num("OpenSpStatus", m.OpenSpStatus)
	w.num("ApplyTime", m.ApplyTime)
	w.text("ApplyUserId", m.ApplyUserID)
	w.close("ApprovalInfo")
}

func (w *emitter) bot(m *Message) {
	w.text("aibotid", m.BotID)
	w.text("chatid", m.ChatID)
	w.text("chattype", m.ChatType)
	w.text("response_url", m.ResponseURL)
	if m.StreamID != "" {
		w.open("stream")
		w.text("id", m.StreamID)
		w.close("stream")
	}
}

// emitter writes one document in either form. Strings are CDATA in XML; numbers are bare in both.
type emitter struct {
	json bool
	b    []byte
}

func (w *emitter) begin() {
	if w.json {
		w.b = append(w.b, '{')
	} else {
		w.b = append(w.b, "<xml>"...)
	}
}

func (w *emitter) done() []byte {
	if w.json {
		return append(w.b, '}')
	}
	return append(w.b, "</xml>"...)
}

// name stands before a value: a start tag, or a key with the comma that may be due before it.
func (w *emitter) name(name string) {
	if !w.json {
		w.b = append(append(append(w.b, '<'), name...), '>')
		return
	}
	w.comma()
	w.b = append(appendJSONString(w.b, name), ':')
}

func (w *emitter) comma() {
	if last := w.b[len(w.b)-1]; last != '{' && last != '[' {
		w.b = append(w.b, ',')
	}
}

func (w *emitter) endTag(name string) {
	w.b = append(append(append(w.b, "</"...), name...), '>')
}

// text writes a leaf unless it is empty.
func (w *emitter) text(name, v string) {
	if v != "" {
		w.leaf(name, v)
	}
}

func (w *emitter) leaf(name, v string) {
	w.name(name)
	w.value(v)
	if !w.json {
		w.endTag(name)
	}
}

func (w *emitter) value(v string) {
	if w.json {
		w.b = appendJSONString(w.b, v)
	} else {
		w.b = appendCDATA(w.b, v)
	}
}

func (w *emitter) num(name string, v int64) {
	w.bare(name, strconv.FormatInt(v, 10))
}

// numIf writes a number unless it is zero.
func (w *emitter) numIf(name string, v int64) {
	if v != 0 {
		w.num(name, v)
	}
}

// real writes a fraction unless it is zero.
func (w *emitter) real(name string, v float64) {
	if v != 0 {
		w.bare(name, strconv.FormatFloat(v, 'g', -1, 64))
	}
}

func (w *emitter) bare(name, v string) {
	w.name(name)
	w.b = append(w.b, v...)
	if !w.json {
		w.endTag(name)
	}
}

func (w *emitter) open(name string) {
	w.name(name)
	if w.json {
		w.b = append(w.b, '{')
	}
}

func (w *emitter) close(name string) {
	if w.json {
		w.b = append(w.b, '}')
	} else {
		w.endTag(name)
	}
}

// list begins what is an array in JSON and elements of the same name in XML.
func (w *emitter) list(name string) {
	if w.json {
		w.name(name)
		w.b = append(w.b, '[')
	}
}

func (w *emitter) endList() {
	if w.json {
		w.b = append(w.b, ']')
	}
}

// item begins one object of a list; close ends it.
func (w *emitter) item(name string) {
	if w.json {
		w.comma()
		w.b = append(w.b, '{')
	} else {
		w.name(name)
	}
}

// itemText writes one string of a list.
func (w *emitter) itemText(name, v string) {
	if w.json {
		w.comma()
		w.value(v)
	} else {
		w.leaf(name, v)
	}
}

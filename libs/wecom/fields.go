package wecom

import (
	"strconv"
	"strings"
)

// node is one element of a message: its name in the documentation, and where its content goes. The same tables read
// both forms and write them. In JSON a key counts without regard to case and underscores, because the official samples
// differ in both: AgentID, agentid; TaskId, task_id.
type node struct {
	name string
	alt  string // a second spelling of the same element
	text func(*Message) *string
	num  func(*Message) *int64
	real func(*Message) *float64
	kids *branch // what is inside; beside text, for a JSON object in the place of a string

	list bool           // may come again; text then makes room for one more
	open func(*Message) // called before kids are read
	bot  bool           // only AI bots send it, hence only in JSON
}

// branch is the set of elements that may stand together. Its maps are filled once and never change.
type branch struct {
	nodes []node
	xml   map[string]int
	json  map[string]int
}

func newBranch(nodes ...node) *branch {
	b := &branch{nodes: nodes, xml: map[string]int{}, json: map[string]int{}}
	for i, n := range nodes {
		for _, name := range []string{n.name, n.alt} {
			if name == "" {
				continue
			}
			if !n.bot {
				b.xml[name] = i
			}
			b.json[string(foldKey(nil, name))] = i
		}
	}
	return b
}

// foldKey appends name to buf in lower case and without underscores.
func foldKey[N ~string | ~[]byte](buf []byte, name N) []byte {
	for i := range len(name) {
		if name[i] != '_' {
			buf = append(buf, lower(name[i]))
		}
	}
	return buf
}

// jsonIndex finds the node of a JSON key.
func (b *branch) jsonIndex(key []byte) (int, bool) {
	if len(key) > maxName {
		return 0, false
	}
	var buf [maxName]byte
	i, ok := b.json[string(foldKey(buf[:0], key))]
	return i, ok
}

// seenSet remembers which nodes of a branch have come. No branch has more than 128.
type seenSet [2]uint64

// add reports whether i is new.
func (s *seenSet) add(i int) bool {
	word, bit := &s[i>>6&1], uint64(1)<<(i&63)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

// set stores the content of a leaf.
func (n *node) set(m *Message, v string) (err error) {
	switch {
	case n.text != nil:
		*n.text(m) = v
	case n.num != nil:
		*n.num(m), err = parseInt(v)
	case n.real != nil:
		*n.real(m), err = parseFloat(v)
	}
	return err
}

// parseInt reads a decimal integer, within white space. Nothing at all is 0: WeCom sends elements without content.
func parseInt(v string) (int64, error) {
	v = strings.Trim(v, " \t\r\n")
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || v[0] == '+' {
		return 0, refuse(CodeParse, ReasonValue, "not a decimal integer")
	}
	return n, nil
}

// parseFloat is parseInt for decimal fractions. Hexadecimal, infinity and the like are refused.
func parseFloat(v string) (float64, error) {
	v = strings.Trim(v, " \t\r\n")
	if v == "" {
		return 0, nil
	}
	if strings.Trim(v, "+-.0123456789eE") != "" || len(v) > maxName {
		return 0, refuse(CodeParse, ReasonValue, "not a decimal number")
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return 0, refuse(CodeParse, ReasonValue, "not a decimal number")
	}
	return f, nil
}

// lastItem is the selected item that is being read. ParseMessage opens one before it reads any part of it.
func lastItem(m *Message) *SelectedItem { return &m.SelectedItems[len(m.SelectedItems)-1] }

// oneMore makes room in a list for one more string.
func oneMore(list *[]string) *string {
	*list = append(*list, "")
	return &(*list)[len(*list)-1]
}

// The branches, leaves first.
var (
	optionBranch = newBranch(
		node{name: "OptionId", list: true, text: func(m *Message) *string { return oneMore(&lastItem(m).OptionIDs) }},
	)
	itemBranch = newBranch(
		node{name: "QuestionKey", text: func(m *Message) *string { return &lastItem(m).QuestionKey }},
		node{name: "OptionIds", kids: optionBranch},
	)
	itemsBranch = newBranch(node{
		name: "SelectedItem", list: true, kids: itemBranch,
		open: func(m *Message) { m.SelectedItems = append(m.SelectedItems, SelectedItem{}) },
	})
	scanBranch = newBranch(
		node{name: "ScanType", text: func(m *Message) *string { return &m.ScanType }},
		node{name: "ScanResult", text: func(m *Message) *string { return &m.ScanResult }},
	)
	picBranch = newBranch(
		node{name: "PicMd5Sum", text: func(m *Message) *string { return oneMore(&m.PicMD5Sums) }},
	)
	picListBranch = newBranch(node{name: "item", list: true, kids: picBranch})
	picsBranch    = newBranch(
		node{name: "Count", num: func(m *Message) *int64 { return &m.PicCount }},
		node{name: "PicList", kids: picListBranch},
	)
	placeBranch = newBranch(
		node{name: "Location_X", real: func(m *Message) *float64 { return &m.Latitude }},
		node{name: "Location_Y", real: func(m *Message) *float64 { return &m.Longitude }},
		node{name: "Scale", num: func(m *Message) *int64 { return &m.Scale }},
		node{name: "Label", text: func(m *Message) *string { return &m.Label }},
		node{name: "Poiname", text: func(m *Message) *string { return &m.PoiName }},
	)
	jobBranch = newBranch(
		node{name: "JobId", text: func(m *Message) *string { return &m.JobID }},
		node{name: "JobType", text: func(m *Message) *string { return &m.JobType }},
		node{name: "ErrCode", num: func(m *Message) *int64 { return &m.ErrCode }},
		node{name: "ErrMsg", text: func(m *Message) *string { return &m.ErrMsg }},
	)
	approvalBranch = newBranch(
		node{name: "ThirdNo", text: func(m *Message) *string { return &m.ThirdNo }},
		node{name: "OpenSpName", text: func(m *Message) *string { return &m.OpenSpName }},
		node{name: "OpenTemplateId", text: func(m *Message) *string { return &m.OpenTemplateID }},
		node{name: "OpenSpStatus", num: func(m *Message) *int64 { return &m.OpenSpStatus }},
		node{name: "ApplyTime", num: func(m *Message) *int64 { return &m.ApplyTime }},
		node{name: "ApplyUserId", text: func(m *Message) *string { return &m.ApplyUserID }},
	)

	// What AI bots nest differently (pages 100719, 101027).
	botFromBranch    = newBranch(node{name: "userid", text: func(m *Message) *string { return &m.FromUserName }})
	botContentBranch = newBranch(node{name: "content", text: func(m *Message) *string { return &m.Content }})
	botMediaBranch   = newBranch(node{name: "url", text: func(m *Message) *string { return &m.URL }})
	botStreamBranch  = newBranch(node{name: "id", text: func(m *Message) *string { return &m.StreamID }})
	botCardBranch    = newBranch(cardNodes()...)
	botEventBranch   = newBranch(
		node{name: "eventtype", text: func(m *Message) *string { return &m.Event }},
		node{name: "template_card_event", kids: botCardBranch},
	)

	messageBranch = newBranch(rootNodes()...)
)

// cardNodes are the fields of a card event, which bots keep one level deeper than applications do.
func cardNodes() []node {
	return []node{
		{name: "EventKey", text: func(m *Message) *string { return &m.EventKey }},
		{name: "TaskId", text: func(m *Message) *string { return &m.TaskID }},
		{name: "CardType", text: func(m *Message) *string { return &m.CardType }},
		{name: "ResponseCode", text: func(m *Message) *string { return &m.ResponseCode }},
		{name: "SelectedItems", kids: itemsBranch},
	}
}

func rootNodes() []node {
	return append(cardNodes(), []node{
		{name: "ToUserName", text: func(m *Message) *string { return &m.ToUserName }},
		{name: "FromUserName", text: func(m *Message) *string { return &m.FromUserName }},
		{name: "CreateTime", num: func(m *Message) *int64 { return &m.CreateTime }},
		{name: "MsgType", text: func(m *Message) *string { return &m.MsgType }},
		{name: "AgentID", alt: "AgentId", num: func(m *Message) *int64 { return &m.AgentID }},
		{name: "MsgId", alt: "MsgID", text: func(m *Message) *string { return &m.MsgID }},
		{name: "Content", text: func(m *Message) *string { return &m.Content }},
		{name: "PicUrl", text: func(m *Message) *string { return &m.PicURL }},
		{name: "MediaId", text: func(m *Message) *string { return &m.MediaID }},
		{name: "Format", text: func(m *Message) *string { return &m.Format }},
		{name: "ThumbMediaId", text: func(m *Message) *string { return &m.ThumbMediaID }},
		{name: "Title", text: func(m *Message) *string { return &m.Title }},
		{name: "Description", text: func(m *Message) *string { return &m.Description }},
		{name: "Url", text: func(m *Message) *string { return &m.URL }},
		// A location message and a LOCATION event name the same thing differently.
		{name: "Location_X", alt: "Latitude", real: func(m *Message) *float64 { return &m.Latitude }},
		{name: "Location_Y", alt: "Longitude", real: func(m *Message) *float64 { return &m.Longitude }},
		{name: "Precision", real: func(m *Message) *float64 { return &m.Precision }},
		{name: "Scale", num: func(m *Message) *int64 { return &m.Scale }},
		{name: "Label", text: func(m *Message) *string { return &m.Label }},
		{name: "AppType", text: func(m *Message) *string { return &m.AppType }},
		{name: "Event", text: func(m *Message) *string { return &m.Event }, kids: botEventBranch},
		{name: "ChangeType", text: func(m *Message) *string { return &m.ChangeType }},
		{name: "ScanCodeInfo", kids: scanBranch},
		{name: "SendPicsInfo", kids: picsBranch},
		{name: "SendLocationInfo", kids: placeBranch},
		{name: "BatchJob", kids: jobBranch},
		{name: "UserID", alt: "UserId", text: func(m *Message) *string { return &m.UserID }},
		{name: "NewUserID", text: func(m *Message) *string { return &m.NewUserID }},
		{name: "Department", text: func(m *Message) *string { return &m.Department }},
		{name: "Id", text: func(m *Message) *string { return &m.PartyID }},
		{name: "Name", text: func(m *Message) *string { return &m.Name }},
		{name: "ParentId", text: func(m *Message) *string { return &m.ParentID }},
		{name: "Order", num: func(m *Message) *int64 { return &m.Order }},
		{name: "TagId", text: func(m *Message) *string { return &m.TagID }},
		{name: "AddUserItems", text: func(m *Message) *string { return &m.AddUserItems }},
		{name: "DelUserItems", text: func(m *Message) *string { return &m.DelUserItems }},
		{name: "AddPartyItems", text: func(m *Message) *string { return &m.AddPartyItems }},
		{name: "DelPartyItems", text: func(m *Message) *string { return &m.DelPartyItems }},
		{name: "EffectTime", num: func(m *Message) *int64 { return &m.EffectTime }},
		{name: "ApprovalInfo", kids: approvalBranch},

		{name: "aibotid", bot: true, text: func(m *Message) *string { return &m.BotID }},
		{name: "chatid", bot: true, text: func(m *Message) *string { return &m.ChatID }},
		{name: "chattype", bot: true, text: func(m *Message) *string { return &m.ChatType }},
		{name: "response_url", bot: true, text: func(m *Message) *string { return &m.ResponseURL }},
		{name: "from", bot: true, kids: botFromBranch},
		{name: "text", bot: true, kids: botContentBranch},
		{name: "voice", bot: true, kids: botContentBranch},
		{name: "image", bot: true, kids: botMediaBranch},
		{name: "file", bot: true, kids: botMediaBranch},
		{name: "video", bot: true, kids: botMediaBranch},
		{name: "stream", bot: true, kids: botStreamBranch},
	}...)
}

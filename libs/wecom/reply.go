package wecom

// TextReply is the inside of a passive reply (page 90241), for Crypt.Reply: toUser is a user id, fromCorp the corp id,
// createTime Unix seconds, text at most MaxText bytes, beyond which WeCom cuts. Any text is safe: an end of a CDATA
// section inside it arrives as it is.
func TextReply(form Form, toUser, fromCorp string, createTime int64, text string) []byte {
	w := &emitter{json: form == FormJSON, b: make([]byte, 0, len(text)+256)}
	w.begin()
	w.leaf("ToUserName", toUser)
	w.leaf("FromUserName", fromCorp)
	w.num("CreateTime", createTime)
	w.leaf("MsgType", TypeText)
	w.leaf("Content", text)
	return w.done()
}

// Reply is the inside of a passive reply as WeCom reads it.
type Reply struct {
	ToUserName   string // user id
	FromUserName string // corp id
	CreateTime   int64  // Unix seconds
	MsgType      string
	Content      string // of a text
}

var replyInside = []flatField{{xml: "ToUserName"}, {xml: "FromUserName"}, {xml: "CreateTime"}, {xml: "MsgType"}, {xml: "Content"}}

// ParseReply is WeCom's side of TextReply, as strict as ParseMessage. ToUserName and MsgType must be there.
// Errors: *Error, always fault.Invalid.
func ParseReply(plain []byte) (Reply, error) {
	var v [5][]byte
	if _, err := scanFlat(plain, replyInside, v[:]); err != nil {
		return Reply{}, err
	}
	created, err := parseInt(string(v[2]))
	switch {
	case err != nil:
		return Reply{}, err
	case len(v[0]) == 0:
		return Reply{}, refuse(CodeParse, ReasonMissing, "no ToUserName")
	case len(v[3]) == 0:
		return Reply{}, refuse(CodeParse, ReasonMissing, "no MsgType")
	}
	return Reply{
		ToUserName: string(v[0]), FromUserName: string(v[1]), CreateTime: created,
		MsgType: string(v[3]), Content: string(v[4]),
	}, nil
}
